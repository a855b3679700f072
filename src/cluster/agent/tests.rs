use super::*;
use crate::proto::JobType;

#[test]
fn agents_have_their_topics() {
    let topic = |agent: &str, namespace: &str, deployment: &str| {
        let [name, kind] = Kind {
            agent_name: agent.into(),
            namespace: namespace.into(),
            deployment: deployment.into(),
            job_type: JobType::JtPublisher,
        }
        .topic();
        assert_eq!(kind, "publisher");
        name
    };
    let cases = [
        (["", "", ""], ""),
        (["", "ns", ""], "ns"),
        (["bot", "", ""], "bot"),
        (["bot", "ns", ""], "bot_ns"),
        (["bot", "ns", "blue"], "bot_ns_blue"),
        (["", "", "blue"], "_blue"),
    ];
    for ([agent, namespace, deployment], expected) in cases {
        assert_eq!(topic(agent, namespace, deployment), expected);
    }
}
