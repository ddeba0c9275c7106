-- The rows that every case starts from; run again after each case that may have changed them.
truncate public.authors, public.publishers, public.books, public.isbns, public.genres, public.book_genres, public.loans,
    public."Odd names", public.readings, public.secrets, public.partly, public.plain restart identity;
insert into public.authors values
    (1, 'Ada Lund', '1950-01-02', '{poet,swede}', '{"site":"ada.example","awards":[{"year":1999},{"year":2004}],"n":3}'),
    (2, 'Bo Reyes', '1971-07-30', '{critic}', '{"site":null,"awards":[],"n":10}'),
    (3, 'Cleo "C" Park', null, '{}', '{}'),
    (4, 'Dov, Jr.', '1988-12-12', '{"a b","c,d"}', '{"n":1}');
insert into public.publishers values (1, 'North', 'oslo'), (2, 'South*Press', 'lima'), (3, '100% Books', null);
insert into public.books
    (id, title, author_id, editor_id, publisher_id, pages, price, mood, available, shelf, facts, notes, published) values
    (1, 'Cold rivers', 1, 2, 1, 120, 10.50, 'grim', true, '[1,5)', '{"lang":"sv","size":{"h":20,"w":12}}', '{"k": 1}', '2001-02-03T04:05:06Z'),
    (2, 'Warm rivers', 1, null, 2, 340, 22.00, 'merry', false, '[5,9)', '{"lang":"en","size":{"h":22,"w":14}}', '[1, 2]', '2011-02-03T04:05:06Z'),
    (3, 'The critic', 2, 1, 2, 80, null, 'calm', null, null, null, null, null),
    (4, 'Nobody wrote this', null, null, null, null, 0.99, null, true, '[20,30)', '{"lang":"en"}', '"x"', '2020-01-01T00:00:00Z'),
    (5, '50% of a_title', 4, 4, 3, 99, 5.00, 'calm', true, 'empty', '[]', 'null', '1999-12-31T23:59:59Z');
insert into public.isbns values (1, '978-1'), (2, '978-2');
insert into public.genres values ('nat', 'Nature', null), ('riv', 'Rivers', 'nat'), ('ess', 'Essay', null);
insert into public.book_genres values (1, 'nat', 1), (1, 'riv', 0.5), (2, 'riv', 2), (3, 'ess', 1);
insert into public.loans values
    ('00000000-0000-0000-0000-0000000000a1', 1, '00000000-0000-0000-0000-000000000001', '2030-05-01'),
    ('00000000-0000-0000-0000-0000000000a2', 2, '00000000-0000-0000-0000-000000000002', '2030-06-01'),
    ('00000000-0000-0000-0000-0000000000a3', 1, '00000000-0000-0000-0000-000000000002', '2030-07-01');
insert into public."Odd names" values (1, 'dot', 'comma', 'quote'), (2, null, null, null);
insert into public.readings select r, h, h * 1.5 from unnest('{hall,attic}'::text[]) r, generate_series(1, 3) h;
insert into public.secrets values (1, 'xyzzy');
insert into public.partly values (1, 'seen', 'hidden');

