//! The way to the server, a step at a time: name, TCP, TLS, and its health page over HTTP. Called by `run`.

use super::report::{Fault, Report, Step, Trouble};
use crate::client::clock;
use crate::client::reach::{Stream, place};
use crate::client::tls;
use crate::limits::CLIENT_ANSWER_BYTES_MAX;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper::{Request, Uri, header};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout_at};

/// For all of it together: nobody waits longer to hear that a server is not there.
const PATIENCE: Duration = Duration::from_secs(8);

/// Where the server is.
#[derive(Clone, Debug)]
pub struct Target {
    uri: Uri,
    host: String,
    port: u16,
}

impl Target {
    pub fn parse(url: &str) -> Result<Target, Trouble> {
        let wrong = |error: String| Trouble::at(Fault::Unreachable, Step::Dns, error);
        let uri: Uri = url.parse().map_err(|_| wrong(format!("`{url}` is no URL")))?;
        let (host, port) = place(&uri).map_err(|error| wrong(error.to_string()))?;
        Ok(Target { uri, host, port })
    }

    pub fn host(&self) -> &str {
        &self.host
    }

    fn is_secure(&self) -> bool {
        matches!(self.uri.scheme_str(), Some("wss" | "https"))
    }
}

fn unreachable(step: Step, message: String) -> Trouble {
    Trouble::at(Fault::Unreachable, step, message)
}

/// Goes there step by step and writes each down.
pub async fn reach(target: &Target, report: &mut Report) -> Result<(), Trouble> {
    let limit = Instant::now() + PATIENCE;
    let addresses = lookup(target, limit, report).await?;
    let stream = connect(target, &addresses, limit, report).await?;
    let stream: Stream = match target.is_secure() {
        true => secure(target, stream, limit, report).await?,
        false => Box::new(stream),
    };
    health(target, stream, limit, report).await
}

async fn lookup(target: &Target, limit: Instant, report: &mut Report) -> Result<Vec<SocketAddr>, Trouble> {
    let begun = clock::now();
    let host = &target.host;
    let failed = |why: String| {
        unreachable(Step::Dns, format!("cannot find `{host}`: {why}")).hinting("check the URL and the name server")
    };
    let looked = timeout_at(limit, lookup_host((host.as_str(), target.port))).await;
    let looked = looked.map_err(|_| failed("the name server does not answer".to_owned()))?;
    let found: Vec<SocketAddr> = looked.map_err(|error| failed(error.to_string()))?.collect();
    if found.is_empty() {
        return Err(failed("it has no address".to_owned()));
    }
    let text: Vec<String> = found.iter().map(|address| address.ip().to_string()).collect();
    report.took(Step::Dns, clock::now() - begun, text.join(", "));
    Ok(found)
}

async fn connect(
    target: &Target,
    addresses: &[SocketAddr],
    limit: Instant,
    report: &mut Report,
) -> Result<TcpStream, Trouble> {
    let begun = clock::now();
    let place = format!("{}:{}", target.host, target.port);
    let connecting = timeout_at(limit, TcpStream::connect(addresses)).await;
    let silent = || {
        let trouble = unreachable(Step::Tcp, format!("{place} does not answer"));
        trouble.hinting(format!("open TCP port {} in the firewall", target.port))
    };
    let stream = connecting.map_err(|_| silent())?.map_err(|error| {
        let trouble = unreachable(Step::Tcp, format!("cannot connect to {place}: {error}"));
        trouble.hinting("check the port in the URL and that the server runs")
    })?;
    let peer = stream.peer_addr().map_or(place, |peer| peer.to_string());
    report.took(Step::Tcp, clock::now() - begun, peer);
    Ok(stream)
}

async fn secure(target: &Target, stream: TcpStream, limit: Instant, report: &mut Report) -> Result<Stream, Trouble> {
    let begun = clock::now();
    let failed = |why: String| {
        let trouble = unreachable(Step::Tls, format!("cannot agree on TLS with {}: {why}", target.host));
        trouble.hinting(hint_for_tls(&why))
    };
    let securing = timeout_at(limit, tls::secure(&target.host, stream)).await;
    let stream = securing.map_err(|_| failed("no answer".into()))?.map_err(|error| failed(error.to_string()))?;
    let version = stream.get_ref().1.protocol_version();
    let version = version.and_then(|v| v.as_str()).unwrap_or("TLS").replace('_', ".").replacen("TLSv", "TLS ", 1);
    report.took(Step::Tls, clock::now() - begun, version);
    Ok(Box::new(stream))
}

/// What to do about a failed TLS handshake.
pub fn hint_for_tls(why: &str) -> &'static str {
    if why.contains("certificate") {
        "check the certificate: its name, its dates, and that the chain with the intermediate certificates is served"
    } else {
        "check that the port speaks TLS: LiveKit servers leave it to a proxy before them"
    }
}

/// Any answer will do: a proxy may show something else at `/`.
async fn health(target: &Target, stream: Stream, limit: Instant, report: &mut Report) -> Result<(), Trouble> {
    let begun = clock::now();
    let asked = timeout_at(limit, ask(target, stream)).await;
    let failed = |why: String| unreachable(Step::Http, format!("{} answers no HTTP: {why}", target.host));
    let status = asked.map_err(|_| failed("nothing came".into()))?.map_err(|error| failed(error.to_string()))?;
    report.took(Step::Http, clock::now() - begun, status);
    Ok(())
}

async fn ask(target: &Target, stream: Stream) -> Result<String, hyper::Error> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Its errors are told to the request too.
    tokio::spawn(connection);
    let host = target.uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.uri_mut() = Uri::from_static("/");
    if let Ok(host) = header::HeaderValue::from_str(host) {
        request.headers_mut().insert(header::HOST, host);
    }
    let answer = sender.send_request(request).await?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), CLIENT_ANSWER_BYTES_MAX).collect().await;
    let text = body.map(|body| String::from_utf8_lossy(&body.to_bytes()).into_owned()).unwrap_or_default();
    let first = text.lines().next().unwrap_or_default();
    Ok(if status.is_success() { status.to_string() } else { format!("{status}: {}", short(first)) })
}

fn short(text: &str) -> String {
    text.chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    async fn reached(url: &str) -> (Report, Result<(), Trouble>) {
        let mut report = Report::new(url, "r");
        let result = reach(&Target::parse(url).unwrap(), &mut report).await;
        (report, result)
    }

    #[tokio::test]
    async fn the_first_step_that_fails_is_told() {
        let (report, result) = reached("ws://127.0.0.1:1").await;
        let trouble = result.unwrap_err();
        assert_eq!((trouble.fault, trouble.step), (Fault::Unreachable, Some(Step::Tcp)));
        assert!(trouble.message.starts_with("cannot connect to 127.0.0.1:1: "), "{trouble:?}");
        assert_eq!(report.steps.iter().map(|taken| taken.step).collect::<Vec<_>>(), [Step::Dns]);
    }

    #[tokio::test]
    async fn what_is_no_http_is_told() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.write_all(b"SSH-2.0-x\r\n").await;
            }
        });
        let (report, result) = reached(&url).await;
        assert_eq!(result.unwrap_err().step, Some(Step::Http));
        assert_eq!(report.steps.len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_says_nothing_is_not_waited_for() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        let begun = Instant::now();
        let (_, result) = reached(&url).await;
        assert_eq!(result.unwrap_err().fault, Fault::Unreachable);
        assert!(begun.elapsed() <= PATIENCE + Duration::from_millis(5));
    }

    #[test]
    fn what_is_no_url_is_told() {
        assert!(Target::parse("ftp://h").unwrap_err().message.contains("is no URL of a server"));
        assert!(Target::parse("a b").unwrap_err().message.contains("`a b` is no URL"));
    }
}
