-- A batch knows how old its lists may become, so that who serves them can say that they are too old.

alter table batch_records add column max_age_hours double precision default 36;
comment on column batch_records.max_age_hours is 'So long after they were published the lists are too old (serve.max_age_hours of the catalog file); null: never';
