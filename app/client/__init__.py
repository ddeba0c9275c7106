"""What runs on people's machines: it talks to a Verso API over HTTP, and knows folders and archives.

It imports nothing of the service (app.api, app.flows, app.supabase): what it may do is what the API lets
its account do.
"""
