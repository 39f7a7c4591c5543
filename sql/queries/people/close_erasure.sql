-- No row: steps of nights may begin again; the person stays left out.
update open_erasures set is_blocking = false where person = %(person)s
