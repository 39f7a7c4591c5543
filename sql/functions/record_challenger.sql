create or replace function record_challenger(challenger jsonb) returns boolean
language plpgsql security definer set search_path from current
as $$
declare
    new challenger_records := jsonb_populate_record(null::challenger_records, challenger);
begin
    insert into challenger_records (study_id, as_of, data_cutoff, recipe, base_recipe, value, base_value, n_trials)
    values (new.study_id, new.as_of, new.data_cutoff, new.recipe, new.base_recipe, new.value, new.base_value, new.n_trials)
    on conflict (study_id) do update
    set recipe = excluded.recipe, value = excluded.value, base_value = excluded.base_value, n_trials = excluded.n_trials,
        tuned_at = now(), state = 'waiting', decided_batch = null
    where challenger_records.recipe <> excluded.recipe;
    return found;
end
$$;
comment on function record_challenger is 'Note the best recipe of a study, for the next night to train; a study that went on and found a better one waits again. False: it is noted already';
revoke all on function record_challenger from public;
