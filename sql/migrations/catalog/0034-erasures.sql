-- Who was erased on request, by a salted hash of the user id: every night leaves these people out, whatever its source has.

create table erasure_salt (
    slot text primary key check (slot = 'salt'),
    salt text not null check (salt ~ '^[0-9a-f]{64}$')
);
comment on table erasure_salt is 'The one row is the salt of this catalog''s next hashes of user ids. Nights and the owner read it, nobody else';
insert into erasure_salt (slot, salt)
values ('salt', replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''));

create table erased_people (
    person text collate "C" primary key check (person ~ '^[0-9a-f]{64}$'),
    salt text not null check (salt ~ '^[0-9a-f]{64}$'),
    since timestamptz not null default clock_timestamp()
);
comment on table erased_people is 'A row is one person whom nights leave out: HMAC-SHA256 of the user id by the salt';

create table open_erasures (
    person text collate "C" primary key references erased_people,
    about text collate "C",
    held jsonb not null default '{}',
    is_blocking boolean not null default true,
    tables_done boolean not null default false
);
comment on table open_erasures is 'A row is one erasure that has begun and has not ended. Nothing else keeps the user id, and no row outlasts the erasure';
comment on column open_erasures.about is 'The user id; null: only its hash is known, as after a restore, and the id is looked for';
comment on column open_erasures.held is 'What was held as it began, in counts';
comment on column open_erasures.is_blocking is 'Whether files of nights are being rewritten: no step of a night begins meanwhile';
comment on column open_erasures.tables_done is 'Whether the tables are done';

create table erasure_hashes (
    person text collate "C" not null references erased_people,
    old text not null,
    new text not null,
    primary key (person, old)
);
comment on table erasure_hashes is 'A row is one file or batch that an erasure changes, by its checksum before and after; none are left once it has ended';

create table erasure_records (
    log_id bigint generated always as identity primary key,
    at timestamptz not null default clock_timestamp(),
    action text not null check (action in ('begun', 'done', 'applied again')),
    person text collate "C" not null,
    actor text not null default session_user,
    receipt text check (receipt ~ '^[0-9a-f]{64}$')
);
comment on table erasure_records is 'A row is one begin or end of an erasure, by which login; nobody changes or removes one';
comment on column erasure_records.receipt is 'SHA-256 of the receipt';

create table backup_places (
    place text primary key,
    keep integer check (keep >= 1),
    last_at timestamptz not null default clock_timestamp()
);
comment on table backup_places is 'A row is one place that this catalog was backed up to: erasures are noted there too. keep: how many back-ups stay; null: all';

create function refuse_change() returns trigger
language plpgsql set search_path from current
as $$
begin
    raise exception '% is only added to', tg_table_name using errcode = 'RJ065';
end
$$;
comment on function refuse_change is 'Keep what was noted as it was noted';
revoke all on function refuse_change from public;
create trigger refuse_change before update or delete on erasure_records for each row execute function refuse_change();
create trigger refuse_truncate before truncate on erasure_records for each statement execute function refuse_change();
