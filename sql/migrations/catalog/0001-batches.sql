-- What was written, what is live, and which model is in charge. Every name is unqualified: a migration runs
-- with the catalog's schema as its search path, so each catalog gets tables of its own.

create table models (
    model_version text collate "C" primary key,
    batch_id text collate "C" not null,
    uri text not null,
    sha256 text not null check (sha256 ~ '^[0-9a-f]{64}$'),
    data_cutoff timestamptz not null,
    recipe jsonb not null,
    registered_at timestamptz not null default now()
);
comment on table models is 'A row is one registered model version: where its factors lie, their SHA-256, and the instant up to which it has seen interactions';

create table batch_records (
    batch_id text collate "C" primary key check (batch_id ~ '^[0-9]{8}T[0-9]{6}Z-[0-9]{1,6}$'),
    as_of timestamptz not null,
    attempt integer not null check (attempt >= 1),
    computed_at timestamptz not null,
    staged_at timestamptz not null default now(),
    attached boolean not null default false,
    published_at timestamptz,
    rolled_back_at timestamptz,
    pruned_at timestamptz,
    model_version text collate "C" references models,
    champion_version text collate "C" references models,
    n_users bigint not null,
    n_items bigint not null,
    n_interactions bigint not null,
    top_n_stored integer not null check (top_n_stored >= 1),
    top_n_served integer not null check (top_n_served between 1 and top_n_stored),
    input_hash text not null,
    checksum text not null,
    code_version text not null
);
comment on table batch_records is 'A row is one batch that was written, published or not';

create table live_batch (
    slot text primary key check (slot = 'live'),
    batch_id text collate "C" not null references batch_records
);
comment on table live_batch is 'The pointer: moving it is the publish, moving it back is the rollback';

create table champion_model (
    slot text primary key check (slot = 'champion'),
    model_version text collate "C" not null references models,
    since timestamptz not null default now()
);
comment on table champion_model is 'The model in charge; moves in the transaction that moves the pointer';

create table publish_records (
    log_id bigint generated always as identity primary key,
    at timestamptz not null default clock_timestamp(),
    action text not null check (action in ('publish', 'roll_back', 'promote', 'prune')),
    batch_id text collate "C",
    previous_batch_id text collate "C",
    model_version text collate "C",
    previous_model_version text collate "C",
    forced boolean not null default false,
    reason text,
    actor text not null default session_user
);
comment on table publish_records is 'A row is one change of what is in charge: what, from what, by whom and why';

create table promotion_records (
    batch_id text collate "C" primary key references batch_records on delete cascade,
    decided_at timestamptz not null,
    verdict text not null check (verdict in ('promoted', 'refused')),
    reason text not null,
    metric text not null,
    candidate double precision,
    champion double precision,
    baseline_name text,
    baseline double precision,
    diff double precision,
    diff_low double precision,
    diff_high double precision,
    n_users bigint,
    cutoff timestamptz
);
comment on table promotion_records is 'A row is one verdict of the gate';

create table evaluation_records (
    batch_id text collate "C" not null references batch_records on delete cascade,
    model text not null,
    segment text not null,
    view text not null,
    metric text not null,
    value double precision,
    low double precision,
    high double precision,
    primary key (batch_id, model, segment, view, metric)
);
comment on table evaluation_records is 'A row is one metric of one model on the holdout, with its 95% interval where it has one';

create table finding_records (
    batch_id text collate "C" not null references batch_records on delete cascade,
    reason text not null,
    action text not null check (action in ('excluded', 'merged', 'quarantined', 'warned', 'refused')),
    column_name text not null default '',
    n_rows bigint not null,
    example text,
    primary key (batch_id, reason, action, column_name)
);
comment on table finding_records is 'A row is one rule that rows of the input broke, with their count';

create table report_records (
    batch_id text collate "C" primary key,
    html text not null,
    written_at timestamptz not null default now()
);
comment on table report_records is 'A row is the HTML report of one night';
