-- The one row says whether this catalog is there, and can say who was erased.
select to_regproc('erasures_to_apply') is not null as known
