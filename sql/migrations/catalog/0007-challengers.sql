-- Recipes that a search found better than the catalog file's: the next night trains the newest, and the gate decides.

create table challenger_records (
    study_id text collate "C" primary key,
    tuned_at timestamptz not null default now(),
    as_of timestamptz not null,
    data_cutoff timestamptz not null,
    recipe jsonb not null,
    base_recipe jsonb not null,
    value double precision not null,
    base_value double precision,
    n_trials integer not null check (n_trials >= 1),
    state text not null default 'waiting' check (state in ('waiting', 'promoted', 'refused')),
    decided_batch text collate "C",
    check ((state = 'waiting') = (decided_batch is null))
);
comment on table challenger_records is 'A row is the best recipe of one study, if it was better than the recipe in force';

create function record_challenger(challenger jsonb) returns boolean
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

create function decide_challenger(study text, batch text, verdict text, contested boolean) returns void
language sql security definer set search_path from current
as $$
    update challenger_records set state = verdict, decided_batch = batch
    where study_id = study and (contested or state = 'waiting')
$$;
comment on function decide_challenger is 'Let a challenger follow the verdict of the night that trained it; contested: its recipe is not the champion''s already';

create view challengers as select * from challenger_records;
comment on view challengers is 'A row is the best recipe of one study: waiting for a night, or what the gate said of it, and in which batch';
comment on column challengers.data_cutoff is 'The search has seen nothing from this instant on';
comment on column challengers.base_recipe is 'The catalog file''s recipe when the search began; once the file asks for another, the challenger is out of force';
comment on column challengers.value is 'Mean NDCG@20 over the folds of the search; base_value: that of base_recipe. Neither was measured on the gate''s holdout';

do $$
begin
    execute format('revoke all on all functions in schema %I from public', current_schema());
end
$$;
grant select on challengers to recjobs_reader, recjobs_publisher;
grant execute on function record_challenger(jsonb), decide_challenger(text, text, text, boolean) to recjobs_publisher;
