"""`rome console`: a database in the browser. One process, pages made on the server; only live pages use JavaScript.

command      the options; starts the server
app          the routes, and the pages as functions of a request
guard        who may see the pages: the token, the hosts, the forms
queries      rows of a table with filters; statements that a user has typed
commits      the newest commits, and those that come, as a stream of events
schema_svg   the schema as a diagram
plan_svg     a plan as a drawing
"""
