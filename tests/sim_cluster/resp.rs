//! Redis's protocol (RESP3), as far as a server speaks it with these clients.

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, ReadHalf};

/// What a command answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    Null,
    Int(i64),
    Bytes(Vec<u8>),
    Status(&'static str),
    Error(String),
    List(Vec<Reply>),
    Map(Vec<(Reply, Reply)>),
    Push(Vec<Reply>),
}

impl Reply {
    pub fn text(text: &str) -> Reply {
        Reply::Bytes(text.as_bytes().to_vec())
    }

    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut line = |text: String| out.extend_from_slice(format!("{text}\r\n").as_bytes());
        match self {
            Reply::Null => line("_".into()),
            Reply::Int(n) => line(format!(":{n}")),
            Reply::Status(text) => line(format!("+{text}")),
            Reply::Error(text) => line(format!("-{text}")),
            Reply::Bytes(bytes) => {
                line(format!("${}", bytes.len()));
                out.extend_from_slice(bytes);
                out.extend_from_slice(b"\r\n");
            }
            Reply::List(items) => {
                line(format!("*{}", items.len()));
                items.iter().for_each(|item| item.encode(out));
            }
            Reply::Push(items) => {
                line(format!(">{}", items.len()));
                items.iter().for_each(|item| item.encode(out));
            }
            Reply::Map(pairs) => {
                line(format!("%{}", pairs.len()));
                pairs.iter().for_each(|(key, value)| {
                    key.encode(out);
                    value.encode(out);
                });
            }
        }
    }
}

/// The next command; `None` when the client has gone.
pub async fn command<S>(reader: &mut BufReader<ReadHalf<S>>) -> Option<Vec<Vec<u8>>>
where
    ReadHalf<S>: tokio::io::AsyncRead + Unpin,
{
    let count = number(reader, b'*').await?;
    let mut words = Vec::with_capacity(count);
    for _ in 0..count {
        let length = number(reader, b'$').await?;
        let mut word = vec![0; length + 2];
        reader.read_exact(&mut word).await.ok()?;
        word.truncate(length);
        words.push(word);
    }
    Some(words)
}

async fn number<S>(reader: &mut BufReader<ReadHalf<S>>, kind: u8) -> Option<usize>
where
    ReadHalf<S>: tokio::io::AsyncRead + Unpin,
{
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line).await.ok()?;
    let text = std::str::from_utf8(line.strip_suffix(b"\r\n")?).ok()?;
    assert_eq!(text.as_bytes().first(), Some(&kind), "{text:?}");
    text[1..].parse().ok()
}
