//! Where regions are and how far apart (CLUSTER.md §5.3). Called by `select`, by the list of regions and by `lkops region`.

use crate::config::Region;

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
}
