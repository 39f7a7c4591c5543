create or replace view inputs as
select
    batch_id, as_of, recorded_at, input_hash, state, reason, n_read, n_excluded, n_merged, n_quarantined,
    n_accepted, n_carried, n_users, n_items, oldest, newest, files, places
from input_records;
comment on view inputs is 'A row is what one night read: counts, input hash and files, and whether it was accepted';
