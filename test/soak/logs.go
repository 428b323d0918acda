package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// window is a time of trouble.
type window struct{ from, to time.Time }

// after is how long after an outage a line may still come of it: nodes are asked again after seconds, streams are resumed
// after five at most, and a payment that was under way is told of when the node is there again.
const after = 30 * time.Second

// ofOutage are the only warnings that may stand in a log, and only in a time of trouble.
func ofOutage() []string {
	return []string{
		"the stream of settled invoices ended; resuming",
		"the Lightning node cannot be used; buying pauses, and nothing new is sold",
		"the Lightning node cannot do all that the rules ask for",
		"no invoice could be made",
		"an invoice cannot be looked up",
		"the outcome of a payment is unknown; its amount stays reserved",
	}
}

// logLine is what of a line is judged.
type logLine struct {
	Level   string `json:"level"`
	Time    string `json:"ts"`
	Message string `json:"msg"`
}

const logTime = "2006-01-02T15:04:05.000Z0700"

// bad returns the lines of a log that should not be there, and how many warnings of outages and reloads there are.
func bad(log string, outages []window) (lines []string, warnings, reloads int) {
	for text := range strings.Lines(log) {
		var l logLine
		err := json.Unmarshal([]byte(text), &l)
		switch {
		case err == nil && l.Message == "the configuration was read again":
			reloads++
		case err == nil && (l.Level == "info" || l.Level == "debug"):
		case err == nil && l.Level == "warn" && expected(l, outages):
			warnings++
		default:
			lines = append(lines, strings.TrimSpace(text))
		}
	}
	return lines, warnings, reloads
}

func expected(l logLine, outages []window) bool {
	at, err := time.Parse(logTime, l.Time)
	if err != nil {
		return false
	}
	for _, w := range outages {
		if at.Before(w.from.Add(-time.Second)) || at.After(w.to.Add(after)) {
			continue
		}
		for _, message := range ofOutage() {
			if l.Message == message {
				return true
			}
		}
	}
	return false
}

func clip(lines []string, most int) []string {
	if len(lines) > most {
		return append(lines[:most:most], fmt.Sprintf("and %d more", len(lines)-most))
	}
	return lines
}
