//! Every figure a policy is given, with its name in reports, its unit and its direction.

pub mod arena;
pub mod calibration;
pub mod frontier;
pub mod hull;
pub mod ten_threshold;
pub mod two_model;

/// What an undefined value in a bootstrap draw stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// More than any number: a level was not reached.
    Above,
    /// Less than any number.
    Below,
    /// Nothing: the draw does not count.
    Nothing,
}

macro_rules! metrics {
    ($($variant:ident $name:literal $missing:ident $doc:literal;)*) => {
        /// A figure of a policy. Formulas: `spec/routing.md`, sections 2 to 4.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Metric { $(#[doc = $doc] $variant,)* }

        impl Metric {
            /// All of them, in the order of reports.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its key in `report.json`; `/` separates nested keys.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What an undefined draw stands for.
            pub fn missing(self) -> Missing {
                match self { $(Self::$variant => Missing::$missing,)* }
            }
        }
    };
}

metrics! {
    Aiq "aiq" Nothing "Average quality of the hull between the cheapest and the best single cost.";
    AiqReference "aiq_reference" Nothing "AIQ by the published code; for parity only.";
    Hypervolume "hypervolume" Nothing "Staircase area over the logarithm of cost.";
    CostAt90 "cost_ratio_at_retention/0.90" Above "Sweep: cost that keeps 90 %.";
    CostAt95 "cost_ratio_at_retention/0.95" Above "Sweep: cost that keeps 95 %.";
    CostAt99 "cost_ratio_at_retention/0.99" Above "Sweep: cost that keeps 99 %.";
    CostAt100 "cost_ratio_at_retention/1.00" Above "Sweep: cost that keeps all.";
    SavingsAt90 "savings_at_retention/0.90" Below "1 − cost at 90 %.";
    SavingsAt95 "savings_at_retention/0.95" Below "1 − cost at 95 %.";
    SavingsAt99 "savings_at_retention/0.99" Below "1 − cost at 99 %.";
    SavingsAt100 "savings_at_retention/1.00" Below "1 − cost at 100 %.";
    Peak "peak" Nothing "Highest quality over the sweep.";
    QualityAtLambda0 "quality_at_lambda0" Nothing "Quality when cost does not count.";
    PerfGain "perf_gain" Nothing "Peak over the best single quality, minus 1.";
    CostSave "cost_save" Below "Saving of the cheapest unmixed point as good as the best single.";
    GainOverBestSingle "gain_over_best_single" Nothing "Quality at λ = 0 − best single quality.";
    RelativeGain "relative_gain_over_best_single" Nothing "The same over the best single quality.";
    GainOverRandom "relative_gain_over_random" Nothing "Over a uniform random choice.";
    OracleGap "oracle_gap" Nothing "`(Q_oracle − Q) / Q_oracle` at λ = 0.";
    GapClosed "gap_closed" Nothing "`(Q − Q_ref) / (Q_oracle − Q_ref)` at λ = 0.";
    Regret "regret" Nothing "Lost utility at λ = 0.1, or at λ = 0 without costs.";
    Quality "quality" Nothing "Deployed point: quality.";
    Cost "cost" Nothing "Deployed point: dollars per request.";
    Retention "retention" Nothing "Deployed point: quality over that of the best single.";
    CostRatio "cost_ratio" Nothing "Deployed point: cost over that of the best single.";
    Savings "savings" Nothing "Deployed point: 1 − cost ratio.";
    QualityRisk "quality_risk_share" Nothing "Cheaper than the reference, and worse.";
    Waste "waste_share" Nothing "A cheaper model was at least as good.";
    ArenaScore "arena_score" Nothing "RouterArena score of the deployed point.";
    OptSelection "optimality/selection" Nothing "Cheapest perfect model chosen, of solvable requests.";
    OptAccuracy "optimality/accuracy" Nothing "Quality over solvable requests.";
    OptCost "optimality/cost" Nothing "Cheapest perfect cost over the cost chosen.";
    OptSelectionReference "optimality/selection_reference" Nothing "As published in 2026.";
    OptAccuracyReference "optimality/accuracy_reference" Nothing "As published in 2026.";
    Apgr "apgr" Nothing "Area under the recovered gap; random is 0.5.";
    Cpt50 "cpt50" Above "Share of strong calls that recovers half of the gap.";
    Cpt80 "cpt80" Above "Share of strong calls that recovers 80 % of the gap.";
    StrongShare95 "strong_share_at_retention/0.95" Above "Strong calls that keep 95 %.";
    StrongShare99 "strong_share_at_retention/0.99" Above "Strong calls that keep 99 %.";
    CostAtCpt50 "cost_at_cpt50" Above "Mean cost at CPT50 over always-strong.";
    CostAtCpt80 "cost_at_cpt80" Above "Mean cost at CPT80 over always-strong.";
    Apgr10 "apgr_10" Nothing "APGR by ten thresholds, as published by RouteLLM.";
    Ece "ece" Nothing "Expected calibration error, mean over models.";
    Brier "brier" Nothing "Mean squared error of predicted quality, mean over models.";
    LogLoss "log_loss" Nothing "Binary quality only, mean over models.";
    UpliftEce "uplift_ece" Nothing "Calibration error of best minus cheapest.";
}

/// The figures of one policy on one sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Values(Vec<Option<f64>>);

impl Default for Values {
    fn default() -> Self {
        Self(vec![None; Metric::ALL.len()])
    }
}

impl Values {
    /// A figure; `None` if it is undefined.
    pub fn get(&self, metric: Metric) -> Option<f64> {
        self.0[metric as usize]
    }

    /// Sets a figure. What is not finite is undefined.
    pub fn set(&mut self, metric: Metric, value: impl Into<Option<f64>>) {
        self.0[metric as usize] = value.into().filter(|value| value.is_finite());
    }

    /// All figures, in the order of [`Metric::ALL`].
    pub fn as_slice(&self) -> &[Option<f64>] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_metric_has_its_own_name_and_place() {
        let names: BTreeSet<_> = Metric::ALL.iter().map(|metric| metric.name()).collect();
        assert_eq!(names.len(), Metric::ALL.len());
        for (i, metric) in Metric::ALL.iter().enumerate() {
            assert_eq!(*metric as usize, i);
        }
    }

    #[test]
    fn what_is_not_finite_is_undefined() {
        let mut values = Values::default();
        values.set(Metric::Aiq, f64::NAN);
        values.set(Metric::Peak, 0.5);
        assert_eq!((values.get(Metric::Aiq), values.get(Metric::Peak)), (None, Some(0.5)));
    }
}
