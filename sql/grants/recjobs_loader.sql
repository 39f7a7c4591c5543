-- Who copies a staged batch in. stage_batch gives it the batch's tables, seal_batch takes them back.
do $$
begin
    execute format('grant usage on schema %I to recjobs_loader', current_schema());
end
$$;
grant select on batches, champion to recjobs_loader;
grant execute on function lock_loading, partition_name, record_exposure, seal_batch, stage_batch to recjobs_loader;
