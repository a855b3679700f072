//! One cluster of a node of ours and a livekit-server v1.13.5: rooms on either, people at either, the server API through
//! either. Needs that server:
//!
//!     LIVEKIT_SERVER=/path/to/livekit-server cargo test --test stock -- --ignored

mod stock {
    #[path = "../cli/lkops.rs"]
    #[allow(dead_code, reason = "other tests run the binary in other ways")]
    mod lkops;
    mod mixed;
    #[path = "../cluster/namespace.rs"]
    #[allow(dead_code, reason = "other tests cut nodes off")]
    mod namespace;
    mod orders;
    #[path = "../cluster/redis_link.rs"]
    #[allow(dead_code, reason = "other tests disturb Redis")]
    mod redis_link;
    #[path = "../cluster/redis_server.rs"]
    #[allow(dead_code, reason = "other tests use more of it")]
    mod redis_server;
    mod rolling;
    #[path = "../e2e/server.rs"]
    #[allow(dead_code, reason = "other tests use more of it")]
    mod server;
    mod stock_server;
    mod workers;
    #[path = "../cluster/world.rs"]
    #[allow(dead_code, reason = "other tests use more of it")]
    mod world;
}
