package ledger

import "context"

// Meta returns what SetMeta last stored under key, and "" if nothing was.
func (l *Ledger) Meta(ctx context.Context, key string) (value string, err error) {
	err = l.read(ctx, "read "+key, func(ctx context.Context, q querier) error {
		_, err := one(ctx, q, "SELECT value FROM meta WHERE key = ?", []any{key}, &value)
		return err
	})
	return value, err
}

// SetMeta stores a small value under key, beside the money and as durably. It is not journalled.
func (l *Ledger) SetMeta(ctx context.Context, key, value string) error {
	return l.write(ctx, "store "+key, func(ctx context.Context, q querier) error {
		return run(ctx, q, "INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", key, value)
	})
}
