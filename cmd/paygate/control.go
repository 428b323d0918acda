package main

import (
	"context"

	"paygate/admin"
	"paygate/units"
)

// Block takes a torrent down under all the info-hashes that it is known by. See admin.Control.
func (s *sidecar) Block(ctx context.Context, infoHash, reason string) (admin.BlockReport, error) {
	ih, err := units.ParseInfoHash(infoHash)
	if err != nil {
		return admin.BlockReport{}, err
	}
	fresh, err := s.desk.Block(ctx, ih, reason)
	if err != nil {
		return admin.BlockReport{}, err
	}
	r := admin.BlockReport{Changed: hashTexts(fresh)}
	for _, f := range s.fronts {
		r.Closed += f.review()
	}
	return r, nil
}

// Unblock lets a torrent back. See admin.Control.
func (s *sidecar) Unblock(ctx context.Context, infoHash, reason string) (admin.BlockReport, error) {
	ih, err := units.ParseInfoHash(infoHash)
	if err != nil {
		return admin.BlockReport{}, err
	}
	lifted, err := s.desk.Unblock(ctx, ih, reason)
	return admin.BlockReport{Changed: hashTexts(lifted)}, err
}
