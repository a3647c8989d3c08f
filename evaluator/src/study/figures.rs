//! From the sums of one sample to the figures of every policy.

use super::{Calibration, Deployed, Prepared, REGRET_LAMBDA, Study};
use crate::bootstrap::Sample;
use crate::metric::arena::arena_score;
use crate::metric::calibration::N_BINS;
use crate::metric::frontier::{Frontier, Span};
use crate::metric::hull::Point;
use crate::metric::ten_threshold::TenThreshold;
use crate::metric::two_model::{Curve, Ranking};
use crate::metric::{Metric, Values};
use crate::policy::Plan;

/// What single models make of a sample.
struct Singles {
    points: Vec<Point>,
    span: Span,
    uniform: f64,
    oracle: f64,
}

impl Study<'_> {
    /// All figures of all policies on a sample: `[n_policies * n_metrics]`, then retention and cost
    /// ratio of each validated point, then quality of each single model, then of each point of
    /// each calibrated policy.
    pub fn figures(&self, sample: &Sample) -> Vec<Option<f64>> {
        let points = self.single_points(sample);
        let Some(span) = Span::new(&points) else { return Vec::new() };
        let uniform = super::mean_point(&points).quality;
        let oracle = sample.total(self.oracle) / sample.total(self.count);
        let singles = Singles { points, span, uniform, oracle };
        let mut figures = Vec::new();
        for i in 0..self.policies.len() {
            figures.extend_from_slice(self.values(sample, i, &singles).as_slice());
        }
        for at in self.policies.iter().flat_map(|policy| &policy.validated) {
            let point = self.point(sample, *at);
            figures.push(ratio(point.quality, span.best.quality));
            figures.push(self.cost_ratio(point, span));
        }
        figures.extend(singles.points.iter().map(|point| Some(point.quality)));
        for i in (0..self.policies.len()).filter(|i| self.policies[*i].calibration.is_some()) {
            figures.extend(self.points(sample, i).iter().map(|point| Some(point.quality)));
        }
        figures
    }

    fn cost_ratio(&self, point: Point, span: Span) -> Option<f64> {
        if self.panel.has_costs() { ratio(point.cost, span.best.cost) } else { None }
    }

    fn values(&self, sample: &Sample, i: usize, singles: &Singles) -> Values {
        let policy = &self.policies[i];
        let mut values = Values::default();
        let points = self.points(sample, i);
        if self.panel.has_costs() {
            sweep_costs(&mut values, &points, singles);
        }
        self.sweep_quality(&mut values, policy, &points, singles);
        self.regret(&mut values, sample, policy, &points);
        if let Some(deployed) = &policy.deployed {
            self.deployed(&mut values, sample, deployed, singles);
        } else if policy.plan == Plan::Uniform {
            self.at_point(&mut values, points[0], singles);
        }
        if let Some(ranking) = &policy.ranking {
            self.two_model(&mut values, sample, ranking);
        }
        if let Some(calibration) = &policy.calibration {
            self.calibration(&mut values, sample, calibration);
        }
        values
    }

    #[expect(clippy::unused_self, reason = "one of the figures, called like the others")]
    fn sweep_quality(
        &self,
        values: &mut Values,
        policy: &Prepared,
        points: &[Point],
        singles: &Singles,
    ) {
        let reference = singles.span.best.quality;
        let peak = points.iter().map(|point| point.quality).fold(0.0, f64::max);
        let quality = match policy.plan {
            Plan::Choices(_) | Plan::Uniform => points[0].quality,
            Plan::Singles | Plan::Mix => peak,
        };
        values.set(Metric::Peak, peak);
        values.set(Metric::QualityAtLambda0, quality);
        values.set(Metric::PerfGain, ratio(peak, reference).map(|gain| gain - 1.0));
        values.set(Metric::GainOverBestSingle, quality - reference);
        values.set(Metric::RelativeGain, ratio(quality - reference, reference));
        values.set(Metric::GainOverRandom, ratio(quality - singles.uniform, singles.uniform));
        values.set(Metric::OracleGap, ratio(singles.oracle - quality, singles.oracle));
        values.set(Metric::GapClosed, ratio(quality - reference, singles.oracle - reference));
    }

    fn regret(&self, values: &mut Values, sample: &Sample, policy: &Prepared, points: &[Point]) {
        let point = match policy.plan {
            Plan::Choices(_) => points[policy.regret],
            Plan::Uniform => points[0],
            Plan::Singles | Plan::Mix => return,
        };
        let n = sample.total(self.count);
        values.set(
            Metric::Regret,
            if self.panel.has_costs() {
                let paid = REGRET_LAMBDA * point.cost / self.reference_cost;
                sample.total(self.best_utility) / n - (point.quality - paid)
            } else {
                sample.total(self.oracle) / n - point.quality
            },
        );
    }

    fn at_point(&self, values: &mut Values, point: Point, singles: &Singles) {
        values.set(Metric::Quality, point.quality);
        values.set(Metric::Retention, ratio(point.quality, singles.span.best.quality));
        if self.panel.has_costs() {
            let cost_ratio = self.cost_ratio(point, singles.span);
            values.set(Metric::Cost, point.cost);
            values.set(Metric::CostRatio, cost_ratio);
            values.set(Metric::Savings, cost_ratio.map(|ratio| 1.0 - ratio));
            values.set(Metric::ArenaScore, arena_score(point.quality, 1000.0 * point.cost));
        }
    }

    fn deployed(
        &self,
        values: &mut Values,
        sample: &Sample,
        deployed: &Deployed,
        singles: &Singles,
    ) {
        self.at_point(values, self.point(sample, deployed.at), singles);
        let (n, solvable) = (sample.total(self.count), sample.total(self.solvable));
        let perfect = sample.total(deployed.perfect);
        let accuracy = sample.total(deployed.accuracy);
        values.set(Metric::OptAccuracy, ratio(accuracy, solvable));
        values.set(Metric::OptAccuracyReference, ratio(perfect, perfect));
        if self.panel.has_costs() {
            let selected = sample.total(deployed.selection);
            values.set(Metric::QualityRisk, sample.total(deployed.risk) / n);
            values.set(Metric::Waste, sample.total(deployed.waste) / n);
            values.set(Metric::OptSelection, ratio(selected, solvable));
            values.set(Metric::OptSelectionReference, ratio(selected, perfect));
            let paid = sample.total(deployed.chosen_cost);
            values.set(Metric::OptCost, ratio(sample.total(deployed.cheapest_cost), paid));
        }
    }

    fn two_model(&self, values: &mut Values, sample: &Sample, ranking: &Ranking) {
        let Some(pair) = &self.pair else { return };
        let times = self.times(sample);
        let Some(curve) = Curve::new(ranking, pair, &times) else { return };
        values.set(Metric::Apgr, curve.apgr());
        values.set(Metric::Cpt50, curve.call_share(0.5));
        values.set(Metric::Cpt80, curve.call_share(0.8));
        values.set(Metric::StrongShare95, curve.share_at_retention(0.95));
        values.set(Metric::StrongShare99, curve.share_at_retention(0.99));
        if !pair.costs.is_empty() {
            values.set(Metric::CostAtCpt50, curve.cost_at(0.5));
            values.set(Metric::CostAtCpt80, curve.cost_at(0.8));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        let copies = |request: usize| times(request) as usize;
        let ten = TenThreshold::new(ranking, pair, 10, copies);
        values.set(Metric::Apgr10, ten.map(|ten| ten.apgr));
    }

    fn calibration(&self, values: &mut Values, sample: &Sample, calibration: &Calibration) {
        let times = self.times(sample);
        let n = sample.total(self.count);
        let errors = calibration.models.iter().map(|model| model.ece(N_BINS, &times));
        values.set(Metric::Ece, errors.sum::<f64>() / calibration.models.len() as f64);
        values.set(Metric::UpliftEce, calibration.uplift.ece(N_BINS, &times));
        values.set(Metric::Brier, sample.total(calibration.brier) / n);
        values.set(Metric::LogLoss, calibration.log_loss.map(|loss| sample.total(loss) / n));
    }
}

fn sweep_costs(values: &mut Values, points: &[Point], singles: &Singles) {
    let frontier = Frontier::new(points, singles.span);
    let largest = singles.points.iter().map(|point| point.cost).fold(0.0, f64::max);
    values.set(Metric::Aiq, frontier.aiq());
    values.set(Metric::AiqReference, frontier.aiq_reference(largest));
    values.set(Metric::Hypervolume, frontier.hypervolume());
    values.set(Metric::CostSave, frontier.cost_save());
    for (retention, cost, savings) in [
        (0.90, Metric::CostAt90, Metric::SavingsAt90),
        (0.95, Metric::CostAt95, Metric::SavingsAt95),
        (0.99, Metric::CostAt99, Metric::SavingsAt99),
        (1.0, Metric::CostAt100, Metric::SavingsAt100),
    ] {
        let ratio = frontier.cost_at_retention(retention);
        values.set(cost, ratio);
        values.set(savings, ratio.map(|ratio| 1.0 - ratio));
    }
}

/// `a / b`; `None` unless `b` is positive.
fn ratio(a: f64, b: f64) -> Option<f64> {
    (b > 0.0).then(|| a / b)
}
