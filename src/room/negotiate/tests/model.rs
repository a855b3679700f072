//! Random subscribing and unsubscribing ends with every leg on a section of its own.

use super::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Add(Kind),
    Remove(usize),
    Negotiate,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Add(Kind::Audio)),
        Just(Step::Add(Kind::Video)),
        (0_usize..8).prop_map(Step::Remove),
        Just(Step::Negotiate),
    ]
}

/// A server's connection with its client, and the legs wanted and told ready.
struct Model {
    connection: Connection,
    next: u64,
    wanted: Vec<u64>,
    ready: BTreeMap<u64, String>,
    /// Of a client with one connection: the kinds of its receive sections.
    sections: Vec<Kind>,
}

impl Model {
    fn new(role: Role, reuse_sections: bool) -> Model {
        let connection = Connection::new(ConnectionSetup { reuse_sections, ..setup(role) });
        Model { connection, next: 0, wanted: Vec::new(), ready: BTreeMap::new(), sections: Vec::new() }
    }

    fn apply(&mut self, step: &Step) {
        match step {
            Step::Add(kind) => self.add(*kind),
            Step::Remove(index) => self.remove(*index),
            Step::Negotiate if self.connection.setup.role == Role::Single => self.answer(),
            Step::Negotiate => self.offer(),
        }
    }

    fn add(&mut self, kind: Kind) {
        self.next += 1;
        self.wanted.push(self.next);
        self.connection.add_sender(sender(self.next, kind, &["opus", "VP8"]));
    }

    fn remove(&mut self, index: usize) {
        if index < self.wanted.len() {
            let leg = self.wanted.remove(index);
            self.ready.remove(&leg);
            self.connection.remove_sender(LegKey(leg));
        }
    }

    fn offer(&mut self) {
        let offer = self.connection.offer(None);
        let answer = subscriber::answer_to(&offer, "active", &["opus", "VP8"]);
        let outcomes = self.connection.accept_answer(&answer).unwrap();
        self.note(outcomes);
    }

    fn answer(&mut self) {
        let line = |(index, kind): (usize, &Kind)| single::receive(&index.to_string(), *kind);
        let sections: Vec<String> = self.sections.iter().enumerate().map(line).collect();
        let (_, outcomes) = self.connection.answer(&described("actpass", &sections), &[]).unwrap();
        self.note(outcomes);
    }

    fn note(&mut self, outcomes: Vec<Outcome>) {
        for outcome in outcomes {
            match outcome {
                Outcome::SenderReady { leg, mid, .. } => {
                    assert!(self.wanted.contains(&leg.0), "leg {} was given up", leg.0);
                    assert_eq!(self.ready.insert(leg.0, mid), None, "leg {} was ready already", leg.0);
                }
                Outcome::Remote(_) => {}
                other => panic!("unexpected {other:?}"),
            }
        }
    }

    /// Negotiates as long as the server asks for it.
    fn settle(&mut self) {
        for _ in 0..4 {
            if self.connection.wants_offer() {
                self.offer();
            }
            if let Some((audio, video)) = self.connection.sections_wanted() {
                self.sections.extend((0..audio).map(|_| Kind::Audio).chain((0..video).map(|_| Kind::Video)));
                self.answer();
            }
        }
    }

    fn check(&mut self) {
        assert!(!self.connection.wants_offer());
        assert_eq!(self.ready.keys().copied().collect::<Vec<_>>(), self.wanted);
        let mids: HashSet<&String> = self.ready.values().collect();
        assert_eq!(mids.len(), self.wanted.len());
        let told = |(leg, mid): (&u64, &String)| (mid.clone(), format!("TR_{leg}"));
        let map: HashMap<String, String> = self.ready.iter().map(told).collect();
        assert_eq!(self.connection.senders.mid_to_track_id(), map);
    }
}

proptest! {
    #[test]
    fn every_leg_finds_its_section(
        steps in prop::collection::vec(step(), 0..40),
        single in any::<bool>(),
        reuse in any::<bool>(),
    ) {
        let mut model = Model::new(if single { Role::Single } else { Role::Subscriber }, reuse);
        steps.iter().for_each(|step| model.apply(step));
        model.settle();
        model.check();
    }
}
