//! The words and sentences of the synthetic world. Easy and hard requests differ in both.

/// One kind of request.
#[derive(Debug)]
pub(crate) struct Task {
    /// The label.
    pub name: &'static str,
    /// Its share of the requests, in percent.
    pub percent: u32,
    /// Whether its requests are multiple choice with four options.
    pub has_options: bool,
    /// First lines.
    pub openings: &'static [&'static str],
    /// Further lines: `{w}` is a word of the vocabulary, `{n}` a number.
    pub sentences: &'static [&'static str],
    /// Last lines.
    pub closings: &'static [&'static str],
    /// Easy, middling and hard words; no word belongs to two lists.
    pub words: [&'static [&'static str]; 3],
}

/// All kinds of requests.
pub(crate) const TASKS: &[Task] = &[CHAT, EXTRACTION, KNOWLEDGE, MATH, CODE, PLANNING];

const CHAT: Task = Task {
    name: "chat",
    percent: 24,
    has_options: false,
    openings: &["Write me a short note.", "Help me find the right tone.", "Please rewrite this."],
    sentences: &[
        "It should mention the {w} and the {w}.",
        "My neighbour asked me about a {w} last week.",
        "Keep it warm, even where the {w} comes up.",
        "I also want to say something about {w} and {w}.",
    ],
    closings: &["Sign it from both of us.", "Three sentences are enough.", "Thank you!"],
    words: [
        &["birthday", "picnic", "dog", "cake", "garden", "weekend", "coffee", "holiday", "puppy"],
        &["apology", "promotion", "farewell", "invitation", "wedding", "landlord", "refund"],
        &["bereavement", "sarcasm", "resignation", "villanelle", "euphemism", "mediation"],
    ],
};

const EXTRACTION: Task = Task {
    name: "extraction",
    percent: 20,
    has_options: false,
    openings: &[
        "Return the fields of this record as JSON.",
        "List every amount and its owner.",
        "Pull the named items out of the text below.",
    ],
    sentences: &[
        "The {w} of the order shows {n} pieces.",
        "A {w} was attached, together with the {w}.",
        "Under {w} the clerk entered {n}.",
        "See also {w} and {w} on the second page.",
    ],
    closings: &["Use null where nothing is given.", "No commentary, only the result."],
    words: [
        &["name", "price", "date", "city", "colour", "email", "phone", "size", "street"],
        &["invoice", "discount", "warranty", "quantity", "shipment", "courier", "receipt"],
        &["indemnity", "demurrage", "subrogation", "escrow", "annex", "lien", "addendum"],
    ],
};

const KNOWLEDGE: Task = Task {
    name: "knowledge",
    percent: 20,
    has_options: true,
    openings: &[
        "Choose the correct option.",
        "Answer the following multiple-choice question.",
        "Which of these statements is true?",
    ],
    sentences: &[
        "The question is about {w}.",
        "Consider how {w} relates to {w}.",
        "A textbook explains {w} by means of {w}.",
        "Around the year {n} people wrote about {w}.",
    ],
    closings: &["Reply with the letter only.", "Give the letter of your choice."],
    words: [
        &["planets", "capitals", "rivers", "animals", "flags", "oceans", "seasons", "fruit"],
        &["photosynthesis", "inflation", "volcanoes", "parliament", "vaccines", "magnetism"],
        &["jurisprudence", "eigenstates", "ribosomes", "hermeneutics", "stoichiometry", "tort"],
    ],
};

const MATH: Task = Task {
    name: "math",
    percent: 16,
    has_options: false,
    openings: &["Solve the problem.", "Compute the result step by step.", "What is the answer?"],
    sentences: &[
        "Mia has {n} {w} and buys {n} more.",
        "Take the {w} of {n} and {n}.",
        "Then the {w} is changed by {n}.",
        "Let x be the {w} of the {w}.",
    ],
    closings: &["How much is left?", "State the number only.", "Show the final value."],
    words: [
        &["apples", "sum", "pencils", "difference", "marbles", "double", "half", "coins"],
        &["percentage", "ratio", "average", "perimeter", "remainder", "fraction", "slope"],
        &["integral", "determinant", "modulus", "permutation", "logarithm", "derivative"],
    ],
};

const CODE: Task = Task {
    name: "code",
    percent: 12,
    has_options: false,
    openings: &[
        "Write a Python function.\n```python\ndef solve(data):\n    ...\n```",
        "Fix this code.\n```rust\nfn run() {}\n```",
    ],
    sentences: &[
        "It should handle a {w} and a {w}.",
        "The input has up to {n} entries, each a {w}.",
        "Use a {w} where the {w} is too slow.",
        "Raise an error if the {w} is missing.",
    ],
    closings: &["Include one test.", "Only the code, please.", "Explain nothing."],
    words: [
        &["list", "string", "loop", "counter", "boolean", "index", "print", "dictionary"],
        &["recursion", "iterator", "regex", "queue", "decorator", "socket", "parser", "trie"],
        &["deadlock", "coroutine", "memoization", "bytecode", "semaphore", "monad", "mutex"],
    ],
};

const PLANNING: Task = Task {
    name: "planning",
    percent: 8,
    has_options: false,
    openings: &["Make a plan for us.", "Weigh the options and recommend one.", "Think it through."],
    sentences: &[
        "We have {n} people and a {w}.",
        "The {w} must be settled before the {w}.",
        "Our budget of {n} has to cover the {w}.",
        "Say how {w} changes the outcome.",
    ],
    closings: &["End with a recommendation.", "Number the steps."],
    words: [
        &["trip", "dinner", "party", "schedule", "shopping", "train", "hotel", "picture"],
        &["deadline", "supplier", "venue", "hiring", "contract", "rollout", "training"],
        &["divestiture", "arbitrage", "contingency", "antitrust", "hedging", "litigation"],
    ],
};
