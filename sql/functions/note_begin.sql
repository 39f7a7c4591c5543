create or replace function note_begin(its_state text, why text, asked text, batch text, run text) returns void
language sql security definer set search_path from current
as $$
    delete from begin_records where begin_id <= (select max(begin_id) - 1000 from begin_records);
    insert into begin_records (as_of, state, reason, batch_id, run_id) values (asked, its_state, why, batch, run);
$$;
comment on function note_begin is 'Note how a try to begin a night ended; for people to look at, and for a run that is started again';
revoke all on function note_begin from public;
