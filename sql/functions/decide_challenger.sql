create or replace function decide_challenger(study text, batch text, verdict text, contested boolean) returns void
language sql security definer set search_path from current
as $$
    update challenger_records set state = verdict, decided_batch = batch
    where study_id = study and (contested or state = 'waiting')
$$;
comment on function decide_challenger is 'Let a challenger follow the verdict of the night that trained it; contested: its recipe is not the champion''s already';
revoke all on function decide_challenger from public;
