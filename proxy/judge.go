package proxy

import (
	"encoding/binary"
	"fmt"

	"paygate/proxy/wire"
)

// judgeRemote decides about a frame, or a fragment, from the remote to the client.
func (s *Session) judgeRemote(f *flow, frame *wire.Frame) (verdict, error) {
	switch frame.Kind {
	case wire.KeepAlive:
		return pass, nil
	case wire.ExtendedHandshake:
		s.hearRemote(frame.Payload())
		if s.quiet {
			return apart, nil
		}
		return s.unlessMute(), nil
	case wire.Extended:
		return s.judgeExtended(f, frame), nil
	}
	if !f.past && frame.End {
		f.past = true
		f.owed |= owesFirst
	}
	s.saysNoMore(frame.Kind, &s.remoteNames)
	s.wanted.fromRemote(frame)
	if s.gate == nil {
		s.tellRemote(frame.Kind)
		return pass, nil
	}
	return s.judgeGated(frame)
}

// judgeGated is the part of judgeRemote that a valve has to do with.
func (s *Session) judgeGated(frame *wire.Frame) (verdict, error) {
	switch frame.Kind {
	case wire.Request:
		v := s.gate.request(frame.Block)
		if v == flood {
			return drop, fmt.Errorf("more than %d requests wait", maxHeld)
		}
		return v, nil
	case wire.Cancel:
		return s.gate.cancel(frame.Block), nil
	case wire.Interested, wire.NotInterested:
		return apart, nil
	}
	s.tellRemote(frame.Kind)
	return pass, nil
}

// judgeExtended takes out what is meant for us. Nothing with an id of ours may ever reach the client.
func (s *Session) judgeExtended(f *flow, frame *wire.Frame) verdict {
	_, ours := s.dialect(frame.Ext)
	switch {
	case !ours && s.mute.Load():
		return drop
	case !ours:
		return s.gossip(f, frame)
	case frame.Start && frame.End:
		return apart // so that the gate has heard of all pieces before it
	}
	return drop
}

func (s *Session) unlessMute() verdict {
	if s.mute.Load() {
		return drop
	}
	return pass
}

// judgeClient decides about a frame, or a fragment, from the client to the remote.
func (s *Session) judgeClient(f *flow, frame *wire.Frame) (verdict, error) {
	switch frame.Kind {
	case wire.KeepAlive, wire.Port, wire.Other:
		return pass, nil
	case wire.Extended:
		return s.gossip(f, frame), nil
	case wire.ExtendedHandshake:
		return apart, nil
	case wire.Bitfield:
		s.wanted.fromClient(frame)
		s.bitfieldSeen(frame)
		return pass, nil
	case wire.Have:
		s.wanted.fromClient(frame)
		s.clientHasPiece(binary.BigEndian.Uint32(frame.Payload()))
	case wire.Request:
		s.wanted.fromClient(frame)
		s.clientAsks(frame.Block.Index)
	}
	s.saysNoMore(frame.Kind, &s.clientNames)
	if !s.has {
		s.tellHas(frame.Kind == wire.HaveAll)
	}
	switch frame.Kind {
	case wire.Choke, wire.Unchoke:
		if s.gate != nil {
			return apart, nil
		}
	case wire.Request:
		s.conv.Notify(Event{Kind: ClientRequest, N: blockSize(frame.Block)})
	case wire.Cancel:
		s.conv.Notify(Event{Kind: ClientCancel, N: blockSize(frame.Block)})
	}
	s.tellClient(frame.Kind)
	return pass, nil
}

func blockSize(b wire.Block) int { return int(min(b.Length, maxBlock)) }

func (s *Session) bitfieldSeen(frame *wire.Frame) {
	if s.has {
		return
	}
	s.bitfield.Add(frame.Payload())
	if frame.End {
		s.tellHas(s.bitfield.Complete())
	}
}

func (s *Session) tellHas(complete bool) {
	if !s.has {
		s.has = true
		s.conv.Notify(Event{Kind: ClientHas, Complete: complete})
	}
}

// tellRemote passes on what the remote said about choking and interest.
func (s *Session) tellRemote(k wire.Kind) {
	switch k {
	case wire.Interested:
		s.conv.Notify(Event{Kind: RemoteInterested})
	case wire.NotInterested:
		s.conv.Notify(Event{Kind: RemoteNotInterested})
	case wire.Choke:
		s.conv.Notify(Event{Kind: RemoteChoke})
	case wire.Unchoke:
		s.conv.Notify(Event{Kind: RemoteUnchoke})
	}
}

// tellClient passes on what the client said about choking and interest.
func (s *Session) tellClient(k wire.Kind) {
	switch k {
	case wire.Interested:
		s.conv.Notify(Event{Kind: ClientInterested})
	case wire.NotInterested:
		s.conv.Notify(Event{Kind: ClientNotInterested})
	case wire.Choke:
		s.conv.Notify(Event{Kind: ClientChoke})
	case wire.Unchoke:
		s.conv.Notify(Event{Kind: ClientUnchoke})
	}
}

// apart deals with a frame that is not simply passed; see flow.apart. It returns what goes out instead.
func (s *Session) apart(f *flow, frame *wire.Frame) ([]byte, error) {
	switch frame.Kind {
	case wire.ExtendedHandshake:
		if !f.out {
			return s.silence(frame), nil
		}
		return s.rewriteHello(f, frame), nil
	case wire.Extended:
		if said := f.instead; said != nil {
			f.instead = nil
			return said, nil
		}
		if dialect, ours := s.dialect(frame.Ext); ours {
			s.conv.Message(dialect, frame.Payload())
		}
	case wire.Interested:
		s.gate.take(remoteInterest)
	case wire.NotInterested:
		s.gate.take(remoteNoInterest)
	case wire.Choke:
		s.gate.take(clientChoke)
	case wire.Unchoke:
		s.gate.take(clientUnchoke)
	}
	if f.out {
		s.tellClient(frame.Kind)
	} else {
		s.tellRemote(frame.Kind)
	}
	return nil, nil
}
