package main

import "context"

func (b *bench) profile(context.Context) error { return nil }
