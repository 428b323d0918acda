package main

import (
	"errors"
	"fmt"
	"strings"

	"go.uber.org/zap"

	"paygate/config"
	"paygate/lnclient"
)

// checkRights refuses a macaroon that could do more with the owner's money than paygate needs, unless the owner has
// allowed it. It reads the macaroon and asks nobody.
func checkRights(ln config.Lightning, log *zap.Logger) error {
	if !ln.Enabled() || ln.AllowAdmin {
		return nil
	}
	rights, err := lnclient.InspectMacaroon(ln.Macaroon)
	if errors.Is(err, lnclient.ErrUnreadableRights) {
		log.Warn("what the macaroon allows cannot be told, because it is not of lnd's kind")
		return nil
	}
	if err != nil {
		return &exitError{exitConfiguration, fmt.Errorf("read lightning.macaroon: %w", err)}
	}
	harmful, _ := rights.Beyond(lnclient.Permissions(true, true))
	if len(harmful) == 0 {
		return nil
	}
	return &exitError{exitConfiguration, fmt.Errorf("the macaroon allows more than paygate needs (%s): bake one with `paygate lnd setup`, "+
		"or set lightning.allow_admin_macaroon: true", rightsText(harmful))}
}

// shownRights is how many rights are worth naming on one line.
const shownRights = 5

func rightsText(rights []lnclient.Right) string {
	var names []string
	for _, r := range rights[:min(len(rights), shownRights)] {
		names = append(names, printable(r.String()))
	}
	if more := len(rights) - shownRights; more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, ", ")
}
