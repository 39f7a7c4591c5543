-- What a batch's pages call an interaction.
alter table batch_records add column verb text not null default 'bought';
comment on column batch_records.verb is 'What users did with the items, in the words of the pages (verb of the catalog file): bought, viewed, rated, played or borrowed';
