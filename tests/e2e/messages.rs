//! Data packets between participants.

use super::server::{PATIENCE, Server};
use lkops::client::{Mode, Participant};
use lkops::proto::data_packet::Value;
use tokio::time::timeout;

/// Sender, label and payload of the next user packet.
async fn next(participant: &mut Participant) -> (String, String, Vec<u8>) {
    let received = timeout(PATIENCE, participant.next_data()).await.expect("a packet in time");
    let (label, packet) = received.expect("the session lasts");
    let Some(Value::User(user)) = packet.value else { panic!("{packet:?}") };
    (packet.participant_identity, label, user.payload)
}

#[tokio::test]
async fn packets_reach_the_others_by_the_channel_they_were_sent_on() {
    for mode in [Mode::Dual, Mode::Single] {
        let server = Server::start().await;
        let mut options = server.options("r", "a");
        options.mode = mode;
        let mut a = server.join_with(options).await;
        let mut b = server.join("r", "b").await;
        a.send_data(true, "t", vec![1; 30_000], &[]).await.unwrap();
        assert_eq!(next(&mut b).await, ("a".into(), "_reliable".into(), vec![1; 30_000]), "{mode:?}");
        b.send_data(false, "t", vec![2; 100], &["a"]).await.unwrap();
        assert_eq!(next(&mut a).await, ("b".into(), "_lossy".into(), vec![2; 100]), "{mode:?}");
    }
}

#[tokio::test]
async fn reliable_packets_keep_their_order() {
    let server = Server::start().await;
    let (a, mut b) = (server.join("r", "a").await, server.join("r", "b").await);
    for n in 0..200_u8 {
        a.send_data(true, "t", vec![n; 1000], &[]).await.unwrap();
    }
    for n in 0..200_u8 {
        assert_eq!(next(&mut b).await.2[0], n);
    }
}
