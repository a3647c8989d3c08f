//! Prompts as the rows of a fit: labels and sources as numbers, folds dealt.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
use datasets::prompts::{Caps, Prompt, Taxonomy, Use, select};
use datasets::split::hash_of;

/// Labelled prompts.
///
/// # Shapes
///
/// All but `labels`, `sources`, `heads` and `label_of_head` are `[n]`.
#[derive(Clone, Debug, Default)]
pub struct Corpus {
    /// Names of the labels, in order.
    pub labels: Vec<String>,
    /// Names of the sources, in order.
    pub sources: Vec<String>,
    /// What the classifier sees.
    pub texts: Vec<String>,
    /// Names of the heads: kinds of prompts that are told apart, each of one label.
    pub heads: Vec<String>,
    /// `[n_heads]`: index of the label of a head.
    pub label_of_head: Vec<usize>,
    /// Index of the head; of prompts for testing only it means nothing.
    pub head: Vec<usize>,
    /// Index of the label.
    pub label: Vec<usize>,
    /// Index of the source.
    pub source: Vec<usize>,
    /// The fold that a prompt is held out in.
    pub fold: Vec<i32>,
    /// Whether it may be fitted on.
    pub is_train: Vec<bool>,
    /// Prompts of one group stay together.
    pub group: Vec<String>,
}

/// How prompts are dealt into folds and heads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dealing {
    /// Number of folds, where the files do not say it.
    pub n_folds: u32,
    /// Prompts that a head must have; 0 for one head per label.
    pub min_head: usize,
}

/// The head of each prompt: its label within its source, or where those are fewer than `min_head`
/// its canonical label within its source, or its canonical label.
fn head_names(prompts: &[Prompt], named: &[(String, Use)], min_head: usize) -> Vec<String> {
    let candidates = |at: usize| {
        let (prompt, label) = (&prompts[at], &named[at].0);
        [
            format!("{label}/{}/{}", prompt.source, prompt.label),
            format!("{label}/{}", prompt.source),
            label.clone(),
        ]
    };
    let mut n: BTreeMap<String, usize> = BTreeMap::new();
    for at in (0..prompts.len()).filter(|at| named[*at].1 == Use::Train) {
        for candidate in candidates(at) {
            *n.entry(candidate).or_default() += 1;
        }
    }
    let is_large = |name: &String| min_head > 0 && n.get(name).is_some_and(|n| *n >= min_head);
    let head = |at: usize| {
        let candidates = candidates(at);
        let label = named[at].0.clone();
        candidates.into_iter().find(is_large).unwrap_or(label)
    };
    (0..prompts.len()).map(head).collect()
}

impl Corpus {
    /// Maps labels by the taxonomy, if there is one, takes prompts by the caps, and deals folds: by
    /// the files' own column if every prompt has one, else by a hash of the group.
    ///
    /// # Errors
    ///
    /// If fewer than two labels are left to fit, or a fold divides a group.
    pub fn new(
        prompts: Vec<Prompt>,
        taxonomy: Option<&Taxonomy>,
        caps: &Caps,
        dealing: &Dealing,
    ) -> Result<Self> {
        let label_of = |prompt: &Prompt| match taxonomy {
            None => Some((prompt.label.clone(), Use::Train)),
            Some(taxonomy) => taxonomy.of(prompt).map(|(label, usage)| (label.to_owned(), usage)),
        };
        let known = prompts.into_iter().filter(|prompt| label_of(prompt).is_some()).collect();
        let prompts = select(known, caps);
        let named: Vec<(String, Use)> = prompts.iter().filter_map(label_of).collect();
        let train = named.iter().filter(|(_, usage)| *usage == Use::Train);
        let labels: BTreeSet<&String> = train.map(|(label, _)| label).collect();
        let sources: BTreeSet<&String> = prompts.iter().map(|prompt| &prompt.source).collect();
        let mut corpus = Self {
            labels: labels.into_iter().cloned().collect(),
            sources: sources.into_iter().cloned().collect(),
            ..Self::default()
        };
        let n_labels = corpus.labels.len();
        ensure!(n_labels >= 2, "at least 2 labels are needed to fit, got {n_labels}");
        let has_folds = prompts.iter().all(|prompt| prompt.fold.is_some());
        let heads = head_names(&prompts, &named, dealing.min_head);
        for ((prompt, (label, usage)), head) in prompts.into_iter().zip(named).zip(heads) {
            // A label that only evaluation prompts have could never be right.
            let Ok(label) = corpus.labels.binary_search(&label) else { continue };
            let Ok(source) = corpus.sources.binary_search(&prompt.source) else { continue };
            let head = if usage == Use::Train { corpus.head_of(head, label) } else { 0 };
            corpus.head.push(head);
            let hashed = i32::try_from(hash_of(&prompt.group) % dealing.n_folds).unwrap_or(0);
            corpus.label.push(label);
            corpus.source.push(source);
            corpus.fold.push(prompt.fold.filter(|_| has_folds).unwrap_or(hashed));
            corpus.is_train.push(usage == Use::Train);
            corpus.group.push(prompt.group);
            corpus.texts.push(prompt.text);
        }
        corpus.check_groups()?;
        Ok(corpus)
    }

    /// The head of that name, which is new if none has it.
    fn head_of(&mut self, name: String, label: usize) -> usize {
        let known = self.heads.iter().position(|head| *head == name);
        known.unwrap_or_else(|| {
            self.heads.push(name);
            self.label_of_head.push(label);
            self.heads.len() - 1
        })
    }

    fn check_groups(&self) -> Result<()> {
        let mut fold_of = BTreeMap::new();
        for (group, fold) in self.group.iter().zip(&self.fold) {
            let first = *fold_of.entry(group).or_insert(fold);
            ensure!(
                first == fold,
                "fold must not divide a group, but group {group} is in folds {first} and {fold}"
            );
        }
        Ok(())
    }

    /// Number of prompts.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// The folds of prompts that may be fitted on.
    pub fn folds(&self) -> Vec<i32> {
        let folds: BTreeSet<i32> =
            self.rows(|row| self.is_train[row]).map(|r| self.fold[r]).collect();
        folds.into_iter().collect()
    }

    /// The rows that a condition holds for.
    pub fn rows(&self, keep: impl Fn(usize) -> bool) -> impl Iterator<Item = usize> {
        (0..self.len()).filter(move |row| keep(*row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompt(source: &str, label: &str, text: &str, group: &str) -> Prompt {
        Prompt {
            source: source.to_owned(),
            field: "label".to_owned(),
            text: text.to_owned(),
            label: label.to_owned(),
            group: group.to_owned(),
            fold: None,
        }
    }

    /// 12 mails, 3 titles and 3 speeches of one source, and 2 chats of another.
    fn prompts() -> Vec<Prompt> {
        let of = |source: &'static str, label: &'static str, n: usize| {
            (0..n).map(move |i| prompt(source, label, &format!("{label} {i}"), &format!("g{i}")))
        };
        let mut prompts: Vec<Prompt> = of("web", "mail", 12).collect();
        prompts.extend(
            of("web", "title", 3).chain(of("web", "speech", 3)).chain(of("app", "chat", 2)),
        );
        prompts
    }

    fn corpus(prompts: Vec<Prompt>, min_head: usize) -> Result<Corpus> {
        Corpus::new(prompts, None, &Caps::default(), &Dealing { n_folds: 3, min_head })
    }

    #[test]
    fn a_kind_with_enough_prompts_has_a_head_of_its_own() {
        let count = |min_head: usize| {
            let mut heads = corpus(prompts(), min_head).unwrap().heads;
            heads.sort();
            heads.join(" ")
        };
        assert_eq!(count(0), "chat mail speech title");
        assert_eq!(count(3), "chat mail/web/mail speech/web/speech title/web/title");
        let one = corpus(prompts(), 5).unwrap();
        for row in 0..one.len() {
            assert_eq!(one.label_of_head[one.head[row]], one.label[row]);
        }
    }

    #[test]
    fn groups_stay_in_one_fold_and_a_fold_that_divides_one_is_refused() {
        let all = corpus(prompts(), 0).unwrap();
        assert_eq!(all.len(), 20);
        let expected = |group: &str| i32::try_from(hash_of(group) % 3).unwrap();
        for (group, fold) in all.group.iter().zip(&all.fold) {
            assert_eq!(*fold, expected(group));
        }
        let mut divided = prompts();
        for (at, prompt) in divided.iter_mut().enumerate() {
            prompt.fold = i32::try_from(at % 2).ok();
        }
        let error = corpus(divided, 0).unwrap_err().to_string();
        assert!(error.contains("fold must not divide a group, but group g"), "{error}");
        let one = vec![prompt("web", "mail", "a", "g"), prompt("web", "mail", "b", "h")];
        let error = corpus(one, 0).unwrap_err().to_string();
        assert_eq!(error, "at least 2 labels are needed to fit, got 1");
    }
}
