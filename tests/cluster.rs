//! Several real nodes and a real redis-server on loopback: people on different nodes meet, and go on meeting whatever
//! becomes of Redis or of a node. Needs redis-server in the path.

mod cluster {
    mod calls;
    mod cut;
    mod death;
    mod meeting;
    mod redis_server;
    #[path = "../e2e/server.rs"]
    mod server;
    mod wire;
    mod world;
}
