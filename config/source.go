package config

import (
	"strings"

	"gopkg.in/yaml.v3"
)

// source is the text of the file, of which problems show the line that they are about, but never a secret.
type source struct {
	lines []string
	most  map[int]int // of a line that may hold a secret: how many of its characters can be shown
}

func newSource(data []byte) source {
	return source{strings.Split(string(data), "\n"), map[int]int{}}
}

// hide keeps the value of a key, and what follows it on its line, out of sight.
func (s source) hide(key, value *yaml.Node) {
	s.cut(value.Line, value.Column-1)
	for n := key.Line; n < len(s.lines) && s.belongs(n, key.Column); n++ { // a block, or a text that goes on
		if n+1 != value.Line {
			s.cut(n+1, 0)
		}
	}
}

// belongs reports whether line n, counted from 0, is empty or stands further in than a column.
func (s source) belongs(n, column int) bool {
	text := strings.TrimLeft(s.lines[n], " ")
	return strings.TrimSpace(text) == "" || len(s.lines[n])-len(text) >= column
}

// hideAfter keeps everything after a key out of sight: of one that is misspelt nobody knows what its value is.
func (s source) hideAfter(key, value *yaml.Node) {
	s.hide(key, value)
	s.cut(key.Line, key.Column-1+len([]rune(key.Value))+1)
}

func (s source) cut(line, most int) {
	if old, ok := s.most[line]; !ok || most < old {
		s.most[line] = most
	}
}

// at returns what may be shown of a line, if that reaches to the column.
func (s source) at(line, column int) string {
	if line < 1 || line > len(s.lines) {
		return ""
	}
	text := []rune(strings.TrimRight(show(s.lines[line-1]), " "))
	if most, ok := s.most[line]; ok && most < len(text) {
		if column > most+1 {
			return ""
		}
		return string(text[:most]) + "…"
	}
	return string(text)
}

// show is oneLine that keeps tabs.
func show(s string) string {
	parts := strings.Split(s, "\t")
	for i := range parts {
		parts[i] = oneLine(parts[i])
	}
	return strings.Join(parts, "\t")
}
