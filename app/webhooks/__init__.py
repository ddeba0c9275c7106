"""Sending a webhook: what is signed how, where it may go, and the one request itself.

Knows no database and no project: `app.flows.deliver_webhooks` gives it an address, a body and the keys.

- `signing`    Standard Webhooks: three headers over the very bytes that are sent
- `addresses`  which addresses of a network may be called: none that lead back inside
- `sending`    one POST: checked addresses only, no redirects, bounded in time and bytes
"""
