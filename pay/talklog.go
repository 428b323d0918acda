package pay

import "go.uber.org/zap"

// talkLog names the session in every line of a conversation. It costs nothing while nothing is written, which a logger of
// its own would.
type talkLog struct{ c *conversation }

func (l talkLog) with(fields []zap.Field) []zap.Field {
	session := []zap.Field{zap.Uint64("session", l.c.link.ID()), zap.Stringer("info_hash", l.c.link.InfoHash())}
	return append(session, fields...)
}

// Debug writes a line for who looks for a fault.
func (l talkLog) Debug(line string, fields ...zap.Field) { l.c.desk.log.Debug(line, l.with(fields)...) }

// Info writes a line about the ordinary course of things.
func (l talkLog) Info(line string, fields ...zap.Field) { l.c.desk.log.Info(line, l.with(fields)...) }

// Warn writes a line about what should be looked at.
func (l talkLog) Warn(line string, fields ...zap.Field) { l.c.desk.log.Warn(line, l.with(fields)...) }

// Error writes a line about a fault.
func (l talkLog) Error(line string, fields ...zap.Field) { l.c.desk.log.Error(line, l.with(fields)...) }
