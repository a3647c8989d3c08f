CREATE TABLE decisions (
    id TEXT PRIMARY KEY NOT NULL,
    decided_at_us INTEGER NOT NULL,           -- microseconds since 1970 UTC
    requested_model TEXT NOT NULL,
    tier TEXT,                                -- NULL: the model was explicit
    drawn_model TEXT NOT NULL,
    answered_model TEXT,                      -- NULL: nobody answered
    propensity REAL CHECK (propensity > 0 AND propensity <= 1), -- NULL: the model was explicit
    pmf TEXT,                                 -- JSON [[model, probability], ...], the eligible models
    policy TEXT NOT NULL,
    prompt TEXT,                              -- NULL: not stored
    n_tools INTEGER NOT NULL,
    tool_schemas TEXT,
    n_messages INTEGER NOT NULL,
    streamed INTEGER NOT NULL,
    prompt_tokens INTEGER,
    cached_tokens INTEGER,
    completion_tokens INTEGER,
    usage_source TEXT CHECK (usage_source IN ('provider', 'estimated')),
    cost_nanos INTEGER,                       -- NULL: unknown
    latency_ms REAL NOT NULL,
    first_content_ms REAL,
    status TEXT NOT NULL CHECK (status IN ('ok', 'error', 'timeout', 'interrupted', 'canceled')),
    finish_reason TEXT,
    fault TEXT,
    attempts TEXT NOT NULL,                   -- JSON [{model, fault, latency_ms}, ...]
    predicted_quality REAL,
    predicted_cost_usd REAL
);

CREATE INDEX decisions_by_time ON decisions (decided_at_us);

-- Everything that was said is kept; the last word of each source counts.
CREATE TABLE feedback (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    decision_id TEXT NOT NULL REFERENCES decisions (id),
    source TEXT NOT NULL CHECK (source IN ('label', 'feedback', 'judge', 'check', 'implicit')),
    quality REAL NOT NULL CHECK (quality >= 0 AND quality <= 1),
    comment TEXT,
    received_at_us INTEGER NOT NULL
);

CREATE INDEX feedback_by_decision ON feedback (decision_id, source, seq);
