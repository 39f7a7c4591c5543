-- No row: nothing of a person is left in the tables.
update open_erasures set tables_done = true where person = %(person)s
