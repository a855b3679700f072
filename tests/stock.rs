//! One cluster of a node of ours and a livekit-server v1.13.5: rooms on either, people at either, the server API through
//! either. Needs that server:
//!
//!     LIVEKIT_SERVER=/path/to/livekit-server cargo test --test stock -- --ignored

mod stock {
    mod mixed;
    #[path = "../cluster/redis_server.rs"]
    #[allow(dead_code, reason = "other tests use more of it")]
    mod redis_server;
    #[path = "../e2e/server.rs"]
    #[allow(dead_code, reason = "other tests use more of it")]
    mod server;
    mod stock_server;
    mod workers;
    #[path = "../cluster/world.rs"]
    #[allow(dead_code, reason = "other tests use more of it")]
    mod world;
}
