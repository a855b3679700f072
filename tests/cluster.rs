//! Several real nodes and a real redis-server on loopback: people on different nodes meet, and go on meeting whatever
//! becomes of Redis or of a node. Needs redis-server in the path.

mod cluster {
    mod calls;
    mod cut;
    mod death;
    mod divide;
    mod drain;
    mod kinds;
    #[path = "../cli/lkops.rs"]
    #[allow(dead_code, reason = "other tests run the binary in other ways")]
    mod lkops;
    mod meeting;
    mod namespace;
    mod redis_link;
    mod redis_server;
    #[path = "../e2e/server.rs"]
    #[allow(dead_code, reason = "other tests start one server and look closer")]
    mod server;
    mod skew;
    mod tally;
    mod twenty;
    mod wire;
    mod worker;
    mod workers;
    mod world;
}
