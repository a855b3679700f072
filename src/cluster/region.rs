//! Where regions are and how far apart (CLUSTER.md §5.3), and which is nearest to somebody. Called by `select`, by the list of
//! regions clients ask for and by `lkops region`.

use crate::config::{Cidr, PublicRegion, Region};
use std::net::IpAddr;
use std::str::FromStr;

/// Radius of the earth in metres, as LiveKit has it.
const EARTH_M: f64 = 6_378_100.0;

/// A point on the globe, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    pub lat: f64,
    pub lon: f64,
}

impl From<&Region> for Place {
    fn from(region: &Region) -> Place {
        Place { lat: region.lat, lon: region.lon }
    }
}

impl From<&PublicRegion> for Place {
    fn from(region: &PublicRegion) -> Place {
        Place { lat: region.lat, lon: region.lon }
    }
}

/// `lat,lon`.
impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Place, String> {
        let wrong = || format!("`{text}` is no place; write latitude and longitude in degrees, such as 48.86,2.35");
        let (lat, lon) = text.split_once(',').ok_or_else(wrong)?;
        let degrees = |text: &str, most: f64| text.trim().parse().ok().filter(|d: &f64| d.abs() <= most);
        Ok(Place { lat: degrees(lat, 90.0).ok_or_else(wrong)?, lon: degrees(lon, 180.0).ok_or_else(wrong)? })
    }
}

impl Place {
    /// Great-circle distance in metres, by the haversine formula.
    pub fn distance_m(self, other: Place) -> f64 {
        let (lat, other_lat) = (self.lat.to_radians(), other.lat.to_radians());
        let half = |from: f64, to: f64| ((to - from) / 2.0).sin().powi(2);
        let angle =
            half(lat, other_lat) + lat.cos() * other_lat.cos() * half(self.lon.to_radians(), other.lon.to_radians());
        // Rounding may carry antipodes past 1, where asin has no answer.
        2.0 * EARTH_M * angle.sqrt().min(1.0).asin()
    }
}

/// What is known of where somebody is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Visitor {
    pub address: Option<IpAddr>,
    pub place: Option<Place>,
}

/// A region and how far it is from the visitor, in metres.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ranked<'a> {
    pub region: &'a PublicRegion,
    pub distance_m: f64,
}

/// All regions, nearest first. A region whose networks hold the visitor's address comes before all others, and stands in
/// for the visitor's place where that is not known. `None` if nothing tells where the visitor is.
pub fn nearest<'a>(regions: &'a [PublicRegion], visitor: &Visitor) -> Option<Vec<Ranked<'a>>> {
    let home = visitor.address.and_then(|ip| home(regions, ip));
    let from = visitor.place.or_else(|| home.map(Place::from))?;
    let rank = |region: &'a PublicRegion| Ranked { region, distance_m: from.distance_m(region.into()) };
    let mut ranked: Vec<Ranked> = regions.iter().map(rank).collect();
    let is_home = |ranked: &Ranked| home.is_some_and(|home| std::ptr::eq(home, ranked.region));
    ranked.sort_by(|a, b| is_home(b).cmp(&is_home(a)).then(a.distance_m.total_cmp(&b.distance_m)));
    Some(ranked)
}

/// The region with the narrowest network that holds the address.
fn home(regions: &[PublicRegion], ip: IpAddr) -> Option<&PublicRegion> {
    let fit = |region: &PublicRegion| {
        let networks = region.networks.iter().filter_map(|network| Cidr::parse(network));
        networks.filter(|network| network.contains(ip)).map(Cidr::prefix_bits).max()
    };
    let fitting = regions.iter().filter_map(|region| Some((fit(region)?, region)));
    fitting.max_by_key(|(bits, _)| *bits).map(|(_, region)| region)
}

/// The place of the region of that name.
pub fn place_of(regions: &[PublicRegion], name: &str) -> Option<Place> {
    regions.iter().find(|region| region.name == name).map(Place::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARIS: Place = Place { lat: 48.8566, lon: 2.3522 };
    const FRANKFURT: Place = Place { lat: 50.1109, lon: 8.6821 };

    #[test]
    fn distances_are_those_of_the_globe() {
        let cases = [
            (PARIS, PARIS, 0.0),
            (PARIS, FRANKFURT, 479_000.0),
            (Place { lat: 0.0, lon: 179.0 }, Place { lat: 0.0, lon: -179.0 }, 222_640.0),
            (Place { lat: 90.0, lon: 0.0 }, Place { lat: -90.0, lon: 77.0 }, EARTH_M * std::f64::consts::PI),
        ];
        for (from, to, expected) in cases {
            let found = from.distance_m(to);
            assert!((found - expected).abs() < 1_000.0, "{from:?} {to:?}: {found}");
            assert!((found - to.distance_m(from)).abs() < 1e-3, "the same way back");
        }
    }

    fn regions() -> Vec<PublicRegion> {
        let region = |name: &str, lat, lon, networks: &[&str]| PublicRegion {
            name: name.into(),
            url: format!("wss://{name}.example.com"),
            lat,
            lon,
            networks: networks.iter().map(|n| (*n).to_owned()).collect(),
        };
        vec![
            region("singapore", 1.35, 103.8, &["10.0.0.0/8"]),
            region("frankfurt", 50.1, 8.7, &["2001:db8::/32", "10.9.0.0/16"]),
            region("virginia", 38.9, -77.4, &[]),
        ]
    }

    fn order(visitor: Visitor) -> Option<Vec<String>> {
        let regions = regions();
        nearest(&regions, &visitor).map(|found| found.iter().map(|r| r.region.name.clone()).collect())
    }

    #[test]
    fn the_nearest_region_comes_first() {
        let from = |place| order(Visitor { place: Some(place), address: None }).unwrap();
        assert_eq!(from(PARIS), ["frankfurt", "virginia", "singapore"]);
        assert_eq!(from(Place { lat: 35.7, lon: 139.7 }), ["singapore", "frankfurt", "virginia"]);
    }

    #[test]
    fn a_network_decides_before_distance_does() {
        let at = |ip: &str, place| order(Visitor { address: Some(ip.parse().unwrap()), place });
        assert_eq!(at("10.1.1.1", None).unwrap(), ["singapore", "frankfurt", "virginia"]);
        assert_eq!(at("10.9.1.1", None).unwrap(), ["frankfurt", "virginia", "singapore"], "the narrowest counts");
        assert_eq!(at("2001:db8::7", None).unwrap()[0], "frankfurt");
        let virginia = Some(Place { lat: 38.0, lon: -77.0 });
        assert_eq!(at("10.1.1.1", virginia).unwrap(), ["singapore", "virginia", "frankfurt"]);
        assert_eq!(at("192.0.2.1", None), None);
        assert_eq!(order(Visitor::default()), None);
    }

    #[test]
    fn places_are_written_as_degrees() {
        assert_eq!("48.8566, 2.3522".parse(), Ok(PARIS));
        for text in ["", "1", "91,0", "0,181", "a,b", "nan,0"] {
            assert!(text.parse::<Place>().is_err(), "{text}");
        }
    }
}
