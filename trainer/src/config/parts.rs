//! Which parts are fitted beside the linear heads.

use router_core::predictor::bag::MAX_HIDDEN;

use super::{Config, ConfigError, range};
use crate::bag::BagParams;
use crate::parts::Extra;

impl Config {
    /// Whether a part is fitted: it is named, or the predictor names it.
    pub(super) fn fits(&self, part: Extra) -> bool {
        self.parts.contains(&part) || self.predictor.split('+').any(|name| name == part.name())
    }

    /// How the bag is fitted, if it is.
    pub(super) fn bag_params(&self) -> Option<BagParams> {
        let seed = self.bag.seed.wrapping_add(self.seed);
        self.fits(Extra::Bag).then_some(BagParams { seed, ..self.bag })
    }

    /// Checks the numbers of all parts, and that those that are fitted have room in one router.
    pub(super) fn check_parts(&self) -> Result<(), ConfigError> {
        let named = |(key, bound, value)| range(key, bound, value);
        self.bag.check().map_err(named)?;
        self.neighbors.check().map_err(named)?;
        let units = self.bag.hidden * self.bag.n_networks + self.neighbors.dimensions;
        if self.fits(Extra::Bag) && self.fits(Extra::Neighbors) && units > MAX_HIDDEN {
            let bound = "at most 64, as hidden units of one router";
            let key = "bag.hidden times n_networks, and neighbors.dimensions,";
            return Err(range(key, bound, units));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, Overrides};

    #[test]
    fn a_part_is_fitted_if_it_or_a_predictor_with_it_is_named() {
        let resolved = |text: &str| Config::resolve([Overrides::from_toml(text).unwrap()]);
        let fitted = |text: &str| {
            let params = resolved(text).unwrap().fit_params();
            [params.bag.is_some(), params.neighbors.is_some()]
        };
        assert_eq!(fitted(""), [false, false]);
        assert_eq!(fitted("parts = [\"bag\"]"), [true, false]);
        assert_eq!(fitted("predictor = \"stack+neighbors\""), [false, true]);
        let both = "predictor = \"neighbors\"\nparts = [\"bag\"]\nbag.hidden = 40";
        let error = resolved(both).unwrap_err().to_string();
        assert!(error.contains("must be at most 64") && error.ends_with("got 72"), "{error}");
        let seeds = resolved("seed = 3\nparts = [\"bag\"]\nbag.seed = 4").unwrap();
        assert_eq!(seeds.fit_params().bag.unwrap().seed, 7);
        let control = resolved("shuffle_labels = true\npredictor = \"stack+bag\"").unwrap();
        assert_eq!(control.predictor().unwrap(), "ridge+task".parse().unwrap(), "no length");
    }
}
