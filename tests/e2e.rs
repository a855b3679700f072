//! The real binary on loopback, met by participants of this process over real sockets. Every test has a server of its own
//! and waits for conditions; the Python, Go and browser suites beside this file do the same with LiveKit's SDKs.

mod e2e {
    mod crew;
    mod disturbance;
    mod feedback;
    mod life;
    mod load;
    mod log;
    mod meeting;
    mod messages;
    mod probe;
    #[path = "../cluster/redis_server.rs"]
    #[allow(dead_code, reason = "other tests do more to it")]
    mod redis_server;
    #[allow(dead_code, reason = "nodes of a cluster are asked more")]
    mod server;
}
