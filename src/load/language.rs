//! The shape language: `25x(4av) + 1x(1v,800s) + 10x(6a,churn=5/min,data=20hz)`. Read by `--shape` and by scenarios.
//!
//! A shape is rooms joined by `+`; each is `NUMBERx(…)`, or `(…)` for one. Inside, separated by commas, stand people and
//! traits. People are a number and letters: `a` microphone, `v` camera, `d` display; they watch and hear the others unless
//! `p` (publishes only) is among the letters. `s` alone only subscribes. Traits are `name` or `name=value`.

use super::camera::Resolution;
use super::shape::{Group, Layout, People, Shape, Traits};
use crate::client::media::VideoCodec;
use std::time::Duration;

/// What is wrong with a shape's text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LanguageError {
    #[error("`{0}` is no kind of room; write it like 25x(4av) or 1x(1v,800s)")]
    Room(String),
    #[error(
        "`{0}` is nobody; write a number and letters: a microphone, v camera, d display, p publishes only, s subscribes only"
    )]
    People(String),
    #[error(
        "there is no trait `{0}`; there are churn, data, data-bytes, reliable, layout, codec, resolution, simulcast, key-frames, loss, tcp, relay and speakers"
    )]
    Trait(String),
    #[error("`{value}` is no value of `{name}`; write it like {example}")]
    Value { name: &'static str, value: String, example: &'static str },
}

/// Reads a shape. Traits it does not name are those of `common`.
pub fn parse(text: &str, common: &Traits) -> Result<Shape, LanguageError> {
    let groups = text.split('+').map(|room| group(room.trim(), common)).collect::<Result<_, _>>()?;
    Ok(Shape { groups, ..Shape::default() })
}

/// A room's people as they would be written.
pub fn text(group: &Group) -> String {
    let people = group.people.iter().filter(|people| people.count > 0).map(|people| {
        let letters = [(people.audio, "a"), (people.video, "v"), (people.screen, "d")];
        let letters: String = letters.into_iter().filter(|(has, _)| *has).map(|(_, letter)| letter).collect();
        let rest = match (letters.is_empty(), people.subscribes) {
            (true, _) => "s",
            (false, true) => "",
            (false, false) => "p",
        };
        format!("{}{letters}{rest}", people.count)
    });
    format!("{}x({})", group.rooms, people.collect::<Vec<_>>().join(","))
}

fn group(text: &str, common: &Traits) -> Result<Group, LanguageError> {
    let wrong = || LanguageError::Room(text.to_owned());
    let (number, inside) = text.split_once('(').ok_or_else(wrong)?;
    let inside = inside.trim_end().strip_suffix(')').ok_or_else(wrong)?;
    let rooms = match number.trim() {
        "" => 1,
        number => number.strip_suffix(['x', '*']).and_then(|n| n.trim().parse().ok()).ok_or_else(wrong)?,
    };
    let mut group = Group { rooms, traits: common.clone(), ..Group::default() };
    for item in inside.split(',').map(str::trim) {
        if item.starts_with(|c: char| c.is_ascii_digit()) {
            group.people.push(people(item)?);
        } else {
            set(&mut group.traits, item)?;
        }
    }
    Ok(group)
}

fn people(text: &str) -> Result<People, LanguageError> {
    let wrong = || LanguageError::People(text.to_owned());
    let letters_at = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (count, letters) = text.split_at(letters_at);
    let mut people = People { count: count.parse().map_err(|_| wrong())?, subscribes: true, ..People::default() };
    for letter in letters.chars() {
        match letter {
            'a' => people.audio = true,
            'v' => people.video = true,
            'd' => people.screen = true,
            'p' => people.subscribes = false,
            's' if letters == "s" => {}
            _ => return Err(wrong()),
        }
    }
    if !people.publishes() && letters != "s" { Err(wrong()) } else { Ok(people) }
}

fn set(traits: &mut Traits, item: &str) -> Result<(), LanguageError> {
    let (name, value) = item.split_once('=').map_or((item, None), |(n, v)| (n.trim(), Some(v.trim())));
    match name {
        "churn" => traits.churn_per_min = value_of("churn", value, "churn=5/min", per_minute)?,
        "data" => traits.data_hz = value_of("data", value, "data=20hz", hertz)?,
        "data-bytes" => traits.data_bytes = value_of("data-bytes", value, "data-bytes=200", data_bytes)?,
        "layout" => traits.layout = value_of("layout", value, "layout=3x3", Layout::from_name)?,
        "codec" => traits.codec = Some(value_of("codec", value, "codec=vp9", VideoCodec::from_name)?),
        "resolution" => {
            traits.resolution = value_of("resolution", value, "resolution=low", Resolution::from_name)?;
        }
        "key-frames" => {
            traits.key_frame_every = Some(value_of("key-frames", value, "key-frames=2s", seconds)?);
        }
        "loss" => traits.loss = value_of("loss", value, "loss=1%", share)?,
        "simulcast" => traits.simulcast = value_of("simulcast", Some(value.unwrap_or("on")), "simulcast=off", switch)?,
        "reliable" => traits.data_reliable = value_of("reliable", Some(value.unwrap_or("on")), "reliable=on", switch)?,
        "tcp" => traits.tcp = value_of("tcp", Some(value.unwrap_or("on")), "tcp=on", switch)?,
        "relay" => traits.relay = value_of("relay", Some(value.unwrap_or("on")), "relay=on", switch)?,
        "speakers" => traits.speakers = value_of("speakers", Some(value.unwrap_or("on")), "speakers=on", switch)?,
        _ => return Err(LanguageError::Trait(name.to_owned())),
    }
    Ok(())
}

fn value_of<T>(
    name: &'static str,
    value: Option<&str>,
    example: &'static str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<T, LanguageError> {
    let text = value.unwrap_or_default();
    read(text).ok_or_else(|| LanguageError::Value { name, value: text.to_owned(), example })
}

fn switch(text: &str) -> Option<bool> {
    match text {
        "on" | "yes" | "true" => Some(true),
        "off" | "no" | "false" => Some(false),
        _ => None,
    }
}

/// `5/min`, `2/s`, `60/h`.
fn per_minute(text: &str) -> Option<f64> {
    let (number, unit) = text.split_once('/')?;
    let factor = match unit {
        "s" | "sec" => 60.0,
        "m" | "min" => 1.0,
        "h" | "hour" => 1.0 / 60.0,
        _ => return None,
    };
    positive(number).map(|n| n * factor)
}

/// `2s`, `500ms`, `5m`, `1h`; not nothing.
pub fn seconds(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic())?);
    let factor = match unit {
        "s" => 1.0,
        "ms" => 0.001,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    positive(number).filter(|n| (0.001..1e6).contains(&(n * factor))).map(|n| Duration::from_secs_f64(n * factor))
}

/// A percentage as a part of 1.
fn share(text: &str) -> Option<f32> {
    let percent = positive(text.strip_suffix('%')?)?;
    (percent <= 100.0).then_some((percent / 100.0) as f32)
}

fn hertz(text: &str) -> Option<f64> {
    positive(text.strip_suffix("hz").or_else(|| text.strip_suffix("/s"))?)
}

/// One SCTP message everywhere takes 15 KiB.
fn data_bytes(text: &str) -> Option<usize> {
    text.parse().ok().filter(|bytes| (1..=15_000).contains(bytes))
}

fn positive(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|n: &f64| n.is_finite() && *n >= 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Shape, LanguageError> {
        parse(text, &Traits::default())
    }

    #[test]
    fn the_example_is_read() {
        let shape = read("25x(4av) + 1x(1v,800s) + 10x(6a,churn=5/min,data=20hz)").unwrap();
        assert_eq!((shape.rooms(), shape.participants()), (36, 100 + 801 + 60));
        let [meetings, stream, calls] = &shape.groups[..] else { panic!() };
        assert!(meetings.people[0].audio && meetings.people[0].video && meetings.people[0].subscribes);
        assert_eq!((stream.people[1].count, stream.people[1].publishes()), (800, false));
        assert_eq!((calls.traits.churn_per_min, calls.traits.data_hz), (5.0, 20.0));
        assert!(calls.people[0].audio && !calls.people[0].video);
    }

    #[test]
    fn one_room_needs_no_number_and_traits_may_be_switches() {
        let shape = read("(2avp, 1d, 3s, relay, simulcast=off, codec=vp9, layout=3x3, churn=1/s)").unwrap();
        let [group] = &shape.groups[..] else { panic!() };
        assert_eq!((group.rooms, group.people.len()), (1, 3));
        assert!(!group.people[0].subscribes && group.people[1].screen);
        let traits = &group.traits;
        assert_eq!((traits.relay, traits.simulcast, traits.codec), (true, false, Some(VideoCodec::Vp9)));
        assert_eq!((traits.layout, traits.churn_per_min), (Layout::Grid3x3, 60.0));
        let traits = read("(1av,loss=1%,key-frames=500ms)").unwrap().groups[0].traits.clone();
        assert_eq!((traits.loss, traits.key_frame_every), (0.01, Some(Duration::from_millis(500))));
    }

    #[test]
    fn people_are_written_as_they_are_read() {
        for room in ["3x(2avp,1d,10s)", "1x(4av)"] {
            assert_eq!(text(&read(room).unwrap().groups[0]), room);
        }
    }

    #[test]
    fn what_is_not_understood_is_named() {
        let error = |text: &str| read(text).unwrap_err().to_string();
        assert!(error("4av").starts_with("`4av` is no kind of room"));
        assert!(error("2y(4av)").starts_with("`2y(4av)` is no kind of room"));
        assert!(error("(4q)").starts_with("`4q` is nobody"));
        assert!(error("(4as)").starts_with("`4as` is nobody"));
        assert!(error("(4p)").starts_with("`4p` is nobody"));
        assert!(error("(99999999999a)").starts_with("`99999999999a` is nobody"));
        assert!(error("(4a,chrun=5/min)").starts_with("there is no trait `chrun`"));
        assert_eq!(error("(4a,churn=5)"), "`5` is no value of `churn`; write it like churn=5/min");
        assert_eq!(error("(4a,data)"), "`` is no value of `data`; write it like data=20hz");
        assert!(error("").starts_with("`` is no kind of room"));
    }
}
