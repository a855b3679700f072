//! What is known of the client's software: from the connect URL, the headers and the socket (WIRE.md §1.8).

use super::params::Params;
use crate::proto::ClientInfo;
use crate::proto::client_info::{Capability, Sdk};
use axum::http::HeaderMap;
use axum::http::header::USER_AGENT;
use std::net::SocketAddr;

/// Headers a proxy tells the client's address in, the most trusted first.
const ADDRESS_HEADERS: [&str; 3] = ["CF-Connecting-IP", "X-Forwarded-For", "X-Real-IP"];

pub fn from_params(params: &Params) -> ClientInfo {
    ClientInfo {
        sdk: sdk(params.text("sdk")).into(),
        version: params.string("version"),
        protocol: params.number("protocol"),
        os: params.string("os"),
        os_version: params.string("os_version"),
        device_model: params.string("device_model"),
        browser: params.string("browser"),
        browser_version: params.string("browser_version"),
        network: params.string("network"),
        client_protocol: params.number("client_protocol"),
        capabilities: capabilities(params.text("capabilities")),
        ..ClientInfo::default()
    }
}

fn sdk(name: &str) -> Sdk {
    match name {
        "js" => Sdk::Js,
        "ios" | "swift" => Sdk::Swift,
        "android" => Sdk::Android,
        "flutter" => Sdk::Flutter,
        "go" => Sdk::Go,
        "unity" => Sdk::Unity,
        "reactnative" => Sdk::ReactNative,
        "rust" => Sdk::Rust,
        "python" => Sdk::Python,
        "cpp" => Sdk::Cpp,
        "unityweb" => Sdk::UnityWeb,
        "node" => Sdk::Node,
        "esp32" => Sdk::Esp32,
        _ => Sdk::Unknown,
    }
}

fn capabilities(list: &str) -> Vec<i32> {
    list.split(',').filter_map(|name| Capability::from_str_name(name.trim())).map(i32::from).collect()
}

/// Adds the address, and for SDKs that run in browsers what the User-Agent tells and the client did not.
pub fn complete(info: &mut ClientInfo, headers: &HeaderMap, peer: Option<SocketAddr>) {
    info.address = address(headers, peer);
    let runs_in_browser = matches!(info.sdk(), Sdk::Js | Sdk::ReactNative | Sdk::Flutter | Sdk::Unity | Sdk::Unknown);
    if let (true, Some(agent)) = (runs_in_browser, header(headers, USER_AGENT.as_str())) {
        add_from_user_agent(info, agent);
    }
}

fn address(headers: &HeaderMap, peer: Option<SocketAddr>) -> String {
    let told = ADDRESS_HEADERS.iter().find_map(|name| header(headers, name)).map(str::to_owned);
    told.or_else(|| peer.map(|p| p.ip().to_string())).unwrap_or_default()
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().filter(|v| !v.is_empty())
}

fn add_from_user_agent(info: &mut ClientInfo, agent: &str) {
    if info.browser.is_empty()
        && let Some((name, version)) = browser(agent)
    {
        info.browser = name.to_owned();
        info.browser_version = version.to_owned();
    }
    if info.os.is_empty()
        && let Some((name, version)) = os(agent)
    {
        info.os = name.to_owned();
        info.os_version = version;
    }
    if info.device_model.is_empty() {
        info.device_model = device(agent).to_owned();
    }
}

/// Marks of browsers. Every browser claims to be several others, so the order decides.
const BROWSERS: [(&str, &str); 9] = [
    ("OBS/", "OBS Studio"),
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("FxiOS/", "Firefox iOS"),
    ("CriOS/", "Chrome Mobile iOS"),
    ("Firefox/", "Firefox"),
    ("HeadlessChrome/", "HeadlessChrome"),
    ("Chrome/", "Chrome"),
    ("Version/", "Safari"),
];

fn browser(agent: &str) -> Option<(&'static str, &str)> {
    BROWSERS.iter().find_map(|(mark, name)| Some((*name, word_after(agent, mark)?)))
}

fn word_after<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(mark)?;
    rest.split([' ', ';', ')']).next()
}

const SYSTEMS: [(&str, &str); 7] = [
    ("Windows NT ", "Windows"),
    ("Android ", "Android"),
    ("CPU iPhone OS ", "iOS"),
    ("CPU OS ", "iOS"),
    ("Mac OS X ", "Mac OS X"),
    ("CrOS ", "Chrome OS"),
    ("Linux", "Linux"),
];

fn os(agent: &str) -> Option<(&'static str, String)> {
    let (mark, name) = SYSTEMS.iter().find(|(mark, _)| agent.contains(mark))?;
    let version = word_after(agent, mark).filter(|v| v.starts_with(|c: char| c.is_ascii_digit()));
    Some((name, version.unwrap_or_default().replace('_', ".")))
}

fn device(agent: &str) -> &'static str {
    let known = [("iPhone", "iPhone"), ("iPad", "iPad"), ("Macintosh", "Mac")];
    known.iter().find(|(mark, _)| agent.contains(mark)).map_or("", |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())).collect()
    }

    #[test]
    fn sdks_by_name() {
        let cases = [("js", Sdk::Js), ("ios", Sdk::Swift), ("unreal", Sdk::Unknown), ("", Sdk::Unknown)];
        for (name, expected) in cases {
            assert_eq!(sdk(name), expected, "{name}");
        }
    }

    #[test]
    fn capabilities_skip_what_they_do_not_know() {
        assert_eq!(capabilities("CAP_PACKET_TRAILER,CAP_NEW"), [Capability::CapPacketTrailer as i32]);
        assert!(capabilities("").is_empty());
    }

    #[test]
    fn the_address_is_the_proxys_word_first() {
        let peer = Some("10.0.0.1:5".parse().unwrap());
        let cases = [
            (headers(&[("X-Real-IP", "3"), ("X-Forwarded-For", "1, 2"), ("CF-Connecting-IP", "0")]), "0"),
            (headers(&[("X-Real-IP", "3"), ("X-Forwarded-For", "1, 2")]), "1, 2"),
            (headers(&[("X-Real-IP", "3")]), "3"),
            (headers(&[]), "10.0.0.1"),
        ];
        for (headers, expected) in cases {
            assert_eq!(address(&headers, peer), expected);
        }
    }

    #[test]
    fn browsers_by_user_agent() {
        let chrome =
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.1 Safari/537.36";
        let safari = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1 (KHTML, like Gecko) Version/17.4 Safari/605.1";
        let firefox = "Mozilla/5.0 (Android 14; Mobile; rv:127.0) Gecko/127.0 Firefox/127.0";
        let obs = "Mozilla/5.0 (Windows NT 10.0; Win64) AppleWebKit/537.36 Chrome/103.0 Safari/537.36 OBS/29.1";
        let cases = [
            (chrome, ["Chrome", "126.0.1", "Linux", "", ""]),
            (safari, ["Safari", "17.4", "Mac OS X", "10.15.7", "Mac"]),
            (firefox, ["Firefox", "127.0", "Android", "14", ""]),
            (obs, ["OBS Studio", "29.1", "Windows", "10.0", ""]),
        ];
        for (agent, expected) in cases {
            let mut info = ClientInfo::default();
            complete(&mut info, &headers(&[("user-agent", agent)]), None);
            let found = [&info.browser, &info.browser_version, &info.os, &info.os_version, &info.device_model];
            assert_eq!(found, expected, "{agent}");
        }
    }

    #[test]
    fn what_the_client_said_stays() {
        let mut info = ClientInfo { browser: "Brave".into(), sdk: Sdk::Js.into(), ..Default::default() };
        complete(&mut info, &headers(&[("user-agent", "Firefox/1.0 (X11; Linux)")]), None);
        assert_eq!((info.browser.as_str(), info.os.as_str()), ("Brave", "Linux"));
        let mut info = ClientInfo { sdk: Sdk::Python.into(), ..Default::default() };
        complete(&mut info, &headers(&[("user-agent", "Firefox/1.0 (X11; Linux)")]), None);
        assert_eq!((info.browser.as_str(), info.os.as_str()), ("", ""));
    }
}
