-- What a batch consists of. Each table is partitioned by batch; a partition is made and filled standing alone
-- and attached when it is complete, because `create table ... partition of` locks readers out and ATTACH does not.
-- There is no DEFAULT partition: with one, ATTACH would have to scan and lock it.

create table top_n (
    batch_id text collate "C" not null,
    user_id text collate "C" not null,
    item_ids text[] not null,
    scores real[] not null,
    source text not null,
    n_model smallint not null,
    n_category smallint not null
) partition by list (batch_id);
comment on table top_n is 'A row is one user''s finished list: the first n_model items come from source (als or foldin), the next n_category from categories, the rest is popular';

create table similar_lists (
    batch_id text collate "C" not null,
    item_id text collate "C" not null,
    item_ids text[] not null,
    scores real[] not null
) partition by list (batch_id);
comment on table similar_lists is 'A row is one item with the items nearest to it';

create table popular_lists (
    batch_id text collate "C" not null,
    segment text collate "C" not null,
    item_ids text[] not null,
    scores real[] not null
) partition by list (batch_id);
comment on table popular_lists is 'A row is the popular list of one segment: `all`, or `category:<name>`';

create table item_records (
    batch_id text collate "C" not null,
    item_id text collate "C" not null,
    title text,
    categories text[],
    price double precision,
    url text,
    image text,
    available boolean not null,
    n_users integer not null
) partition by list (batch_id);
comment on table item_records is 'A row is one item as the batch knew it; n_users is how many users interacted with it';

create table history_lists (
    batch_id text collate "C" not null,
    user_id text collate "C" not null,
    item_ids text[] not null,
    occurred_at timestamptz[] not null
) partition by list (batch_id);
comment on table history_lists is 'A row is one user''s latest interactions, newest first';
