-- Turns are taken by locking a row here: an advisory lock can be held by everybody who may connect.
create table locks (
    name text primary key check (name in ('flip', 'load'))
);
comment on table locks is 'A row is one thing that only one process does at a time: move the pointer (flip), load a batch (load). Who does it holds a lock on the row';
insert into locks (name) values ('flip'), ('load');

-- Whether what is applied is what the file says.
create table applied_migrations (
    migration_id text collate "C" primary key,
    sha256 text not null check (sha256 ~ '^[0-9a-f]{64}$'),
    noted_at timestamptz not null default clock_timestamp()
);
comment on table applied_migrations is 'A row is one migration of this catalog and the SHA-256 of its text';
