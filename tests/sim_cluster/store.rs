//! What the model of Redis keeps, and the commands on it. Scripts run as they are written, in Lua.

use super::resp::Reply;
use mlua::{Lua, MultiValue, Value};
use rustc_hash::FxHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hasher;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;

#[derive(Clone)]
enum Entry {
    Text(Vec<u8>, Option<Instant>),
    Hash(BTreeMap<Vec<u8>, Vec<u8>>),
    Set(BTreeSet<Vec<u8>>),
}

type Keys = BTreeMap<Vec<u8>, Entry>;

#[derive(Clone, Default)]
pub struct Store(Arc<Mutex<Keys>>);

impl Store {
    /// As it is now, for a replica that is behind.
    pub fn copy(&self) -> Store {
        Store(Arc::new(Mutex::new(self.0.lock().unwrap().clone())))
    }

    pub fn become_like(&self, other: &Store) {
        let keys = other.0.lock().unwrap().clone();
        *self.0.lock().unwrap() = keys;
    }

    pub fn clear(&self) {
        self.0.lock().unwrap().clear();
    }

    /// A hash, as text.
    pub fn hash(&self, key: &str) -> BTreeMap<String, Vec<u8>> {
        match self.0.lock().unwrap().get(key.as_bytes()) {
            Some(Entry::Hash(hash)) => hash.iter().map(|(k, v)| (text(k).to_owned(), v.clone())).collect(),
            _ => BTreeMap::new(),
        }
    }

    pub fn run(&self, words: &[Vec<u8>]) -> Reply {
        run(&mut self.0.lock().unwrap(), words)
    }

    /// With `redis.call` on this store. Nothing else runs meanwhile, as in Redis.
    pub fn eval(&self, script: &str, keys: &[Vec<u8>], argv: &[Vec<u8>]) -> Reply {
        let (lua, store) = (Lua::new(), self.clone());
        let evaluate = || -> mlua::Result<Reply> {
            let call = lua.create_function(move |lua, words: MultiValue| {
                let words: Vec<Vec<u8>> = words.iter().map(word).collect();
                value(lua, store.run(&words))
            })?;
            let redis = lua.create_table()?;
            redis.set("call", call)?;
            lua.globals().set("redis", redis)?;
            for (name, list) in [("KEYS", keys), ("ARGV", argv)] {
                let strings = list.iter().map(|bytes| lua.create_string(bytes)).collect::<Result<Vec<_>, _>>()?;
                lua.globals().set(name, strings)?;
            }
            reply(lua.load(script).eval()?)
        };
        evaluate().unwrap_or_else(|error| Reply::Error(format!("ERR {error}").replace(['\r', '\n'], " ")))
    }
}

fn word(value: &Value) -> Vec<u8> {
    match value {
        Value::String(text) => text.as_bytes().to_vec(),
        Value::Integer(n) => n.to_string().into_bytes(),
        Value::Number(n) => n.to_string().into_bytes(),
        other => panic!("redis.call with {other:?}"),
    }
}

fn value(lua: &Lua, reply: Reply) -> mlua::Result<Value> {
    Ok(match reply {
        // As Redis has it: nothing is false.
        Reply::Null => Value::Boolean(false),
        Reply::Int(n) => Value::Number(n as f64),
        Reply::Bytes(bytes) => Value::String(lua.create_string(bytes)?),
        Reply::Status(text) => Value::String(lua.create_string(text)?),
        Reply::List(items) => {
            let items = items.into_iter().map(|item| value(lua, item)).collect::<mlua::Result<Vec<_>>>()?;
            Value::Table(lua.create_sequence_from(items)?)
        }
        other => return Err(mlua::Error::runtime(format!("{other:?} in a script"))),
    })
}

fn reply(value: Value) -> mlua::Result<Reply> {
    Ok(match value {
        Value::Nil | Value::Boolean(false) => Reply::Null,
        Value::Boolean(true) => Reply::Int(1),
        Value::Integer(n) => Reply::Int(n),
        Value::Number(n) => Reply::Int(n as i64),
        Value::String(text) => Reply::Bytes(text.as_bytes().to_vec()),
        Value::Table(list) => {
            Reply::List(list.sequence_values::<Value>().map(|v| reply(v?)).collect::<Result<_, _>>()?)
        }
        other => return Err(mlua::Error::runtime(format!("{other:?} from a script"))),
    })
}

pub fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("names are text")
}

fn run(keys: &mut Keys, words: &[Vec<u8>]) -> Reply {
    let (name, arguments) = words.split_first().expect("a command");
    let Some((key, rest)) = arguments.split_first() else {
        return Reply::Error("ERR wrong number of arguments".into());
    };
    if let Some(Entry::Text(_, Some(until))) = keys.get(key)
        && *until <= Instant::now()
    {
        keys.remove(key);
    }
    match text(name).to_ascii_uppercase().as_str() {
        "GET" => match keys.get(key) {
            Some(Entry::Text(text, _)) => Reply::Bytes(text.clone()),
            _ => Reply::Null,
        },
        "SET" => set(keys, key, rest),
        "EXPIRE" => match keys.get_mut(key) {
            Some(Entry::Text(_, until)) => {
                *until = Some(Instant::now() + seconds(&rest[0]));
                Reply::Int(1)
            }
            _ => Reply::Int(0),
        },
        "DEL" => Reply::Int(keys.remove(key).is_some().into()),
        "HGET" => hash(keys, key).and_then(|h| h.get(&rest[0])).cloned().map_or(Reply::Null, Reply::Bytes),
        "HMGET" => {
            let hash = hash(keys, key);
            let field = |f| hash.and_then(|h| h.get(f)).cloned().map_or(Reply::Null, Reply::Bytes);
            Reply::List(rest.iter().map(field).collect())
        }
        "HVALS" => {
            Reply::List(hash(keys, key).into_iter().flat_map(|h| h.values().cloned().map(Reply::Bytes)).collect())
        }
        "HKEYS" => Reply::List(hash(keys, key).into_iter().flat_map(|h| h.keys().cloned().map(Reply::Bytes)).collect()),
        "HGETALL" => {
            let pair = |(k, v): (&Vec<u8>, &Vec<u8>)| (Reply::Bytes(k.clone()), Reply::Bytes(v.clone()));
            Reply::Map(hash(keys, key).into_iter().flatten().map(pair).collect())
        }
        "HSCAN" => scan(hash(keys, key), rest),
        "HSET" => {
            let hash = match keys.entry(key.clone()).or_insert_with(|| Entry::Hash(BTreeMap::new())) {
                Entry::Hash(hash) => hash,
                _ => return Reply::Error("WRONGTYPE".into()),
            };
            let added = rest.chunks(2).filter(|pair| hash.insert(pair[0].clone(), pair[1].clone()).is_none());
            Reply::Int(added.count() as i64)
        }
        "HDEL" => {
            let Some(Entry::Hash(hash)) = keys.get_mut(key) else { return Reply::Int(0) };
            let removed = rest.iter().filter(|field| hash.remove(*field).is_some()).count();
            if hash.is_empty() {
                keys.remove(key);
            }
            Reply::Int(removed as i64)
        }
        "SADD" => match keys.entry(key.clone()).or_insert_with(|| Entry::Set(BTreeSet::new())) {
            Entry::Set(set) => Reply::Int(rest.iter().filter(|m| set.insert((*m).clone())).count() as i64),
            _ => Reply::Error("WRONGTYPE".into()),
        },
        "SREM" => match keys.get_mut(key) {
            Some(Entry::Set(set)) => Reply::Int(rest.iter().filter(|m| set.remove(*m)).count() as i64),
            _ => Reply::Int(0),
        },
        "SMEMBERS" => match keys.get(key) {
            Some(Entry::Set(set)) => Reply::List(set.iter().cloned().map(Reply::Bytes).collect()),
            _ => Reply::List(Vec::new()),
        },
        other => Reply::Error(format!("ERR the model does not know {other}")),
    }
}

fn hash<'a>(keys: &'a Keys, key: &[u8]) -> Option<&'a BTreeMap<Vec<u8>, Vec<u8>>> {
    match keys.get(key) {
        Some(Entry::Hash(hash)) => Some(hash),
        _ => None,
    }
}

/// A page in the order of digests, whatever comes and goes between pages; the cursor is the digest to go on from.
fn scan(hash: Option<&BTreeMap<Vec<u8>, Vec<u8>>>, arguments: &[Vec<u8>]) -> Reply {
    let number = |word: &[u8]| text(word).parse::<u64>().expect("a number");
    let (cursor, count) = (number(&arguments[0]), number(&arguments[2]) as usize);
    let digest = |field: &[u8]| {
        let mut hasher = FxHasher::default();
        hasher.write(field);
        hasher.finish() >> 1
    };
    let all = hash.into_iter().flatten().map(|(field, value)| (digest(field), field, value));
    let mut rest: Vec<_> = all.filter(|(digest, ..)| *digest >= cursor).collect();
    rest.sort_unstable();
    // Fields of one digest share a page.
    let page = rest.iter().position(|(d, ..)| rest.get(count).is_some_and(|(next, ..)| d == next)).unwrap_or(count);
    let next = rest.get(page).map_or(0, |(digest, ..)| *digest);
    let pairs = rest.iter().take(page).flat_map(|(_, field, value)| [field, value]);
    Reply::List(vec![Reply::text(&next.to_string()), Reply::List(pairs.cloned().cloned().map(Reply::Bytes).collect())])
}

fn set(keys: &mut Keys, key: &[u8], rest: &[Vec<u8>]) -> Reply {
    let (mut until, mut only_new) = (None, false);
    let mut options = rest[1..].iter();
    while let Some(option) = options.next() {
        match text(option) {
            "NX" => only_new = true,
            "EX" => until = options.next().map(|s| Instant::now() + seconds(s)),
            other => return Reply::Error(format!("ERR the model does not know SET {other}")),
        }
    }
    if only_new && keys.contains_key(key) {
        return Reply::Null;
    }
    keys.insert(key.to_vec(), Entry::Text(rest[0].clone(), until));
    Reply::Status("OK")
}

fn seconds(text_of: &[u8]) -> Duration {
    Duration::from_secs(text(text_of).parse().expect("seconds"))
}
