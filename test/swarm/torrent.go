package swarm

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/anacrolix/torrent/bencode"
	"github.com/anacrolix/torrent/metainfo"

	"paygate/units"
)

// PieceLength is the piece length of every torrent made here.
const PieceLength = 256 * units.KiB

// Torrent is a generated torrent. Every client gets a .torrent of its own (Metainfo), with the same info-hash.
type Torrent struct {
	Name     string
	InfoHash units.InfoHash
	Size     units.Bytes
	Files    []File

	info []byte
}

// File is one file of a torrent and the SHA-256 of its content.
type File struct {
	Path   string // below the torrent's directory
	Size   units.Bytes
	SHA256 [sha256.Size]byte
}

// Make writes a torrent of about six files under dir, in a directory called name. The content depends on name and
// size alone. The files do not end on piece boundaries, and one of them is empty.
func Make(dir, name string, size units.Bytes) (*Torrent, error) {
	if size < 16 {
		return nil, fmt.Errorf("a torrent of %d bytes is too small", size)
	}
	t := &Torrent{Name: name, Size: size}
	source := rand.NewChaCha8(sha256.Sum256(binary.BigEndian.AppendUint64([]byte(name), uint64(size))))
	left := size
	for i, share := range []units.Bytes{size / 2, size / 4, size / 16, size / 7, 0} {
		t.Files = append(t.Files, File{Path: fmt.Sprintf("part %d/file-%d.bin", i%2, i), Size: share})
		left -= share
	}
	t.Files = append(t.Files, File{Path: "rest.bin", Size: left})
	for i := range t.Files {
		if err := t.Files[i].write(filepath.Join(dir, name), source); err != nil {
			return nil, fmt.Errorf("make torrent data: %w", err)
		}
	}
	return t, t.describe(filepath.Join(dir, name))
}

func (f *File) write(dir string, source io.Reader) (err error) {
	path := filepath.Join(dir, filepath.FromSlash(f.Path))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	sum := sha256.New()
	if _, err := io.CopyN(io.MultiWriter(out, sum), source, int64(f.Size)); err != nil {
		return err
	}
	sum.Sum(f.SHA256[:0])
	return nil
}

// describe hashes the pieces and makes the info dictionary (BEP 3).
func (t *Torrent) describe(root string) error {
	info := metainfo.Info{PieceLength: int64(PieceLength)}
	if err := info.BuildFromFilePath(root); err != nil {
		return fmt.Errorf("hash torrent: %w", err)
	}
	encoded, err := bencode.Marshal(info)
	if err != nil {
		return fmt.Errorf("encode torrent: %w", err)
	}
	t.info = encoded
	t.InfoHash = units.InfoHash(metainfo.HashBytes(encoded))
	return nil
}

// Metainfo returns a .torrent with that announce address.
func (t *Torrent) Metainfo(announce string) ([]byte, error) {
	b, err := bencode.Marshal(metainfo.MetaInfo{Announce: announce, InfoBytes: t.info})
	if err != nil {
		return nil, fmt.Errorf("encode torrent: %w", err)
	}
	return b, nil
}

// Verify checks every file of the torrent below dir by size and SHA-256, and names all that differ.
func (t *Torrent) Verify(dir string) error {
	var problems []error
	for _, f := range t.Files {
		if err := f.verify(filepath.Join(dir, t.Name)); err != nil {
			problems = append(problems, err)
		}
	}
	return errors.Join(problems...)
}

func (f File) verify(dir string) error {
	in, err := os.Open(filepath.Join(dir, filepath.FromSlash(f.Path)))
	if errors.Is(err, os.ErrNotExist) && f.Size == 0 {
		return nil // some clients never make an empty file
	}
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	sum := sha256.New()
	n, err := io.Copy(sum, in)
	if err != nil {
		return err
	}
	if n != int64(f.Size) || !sumEquals(sum, f.SHA256) {
		return fmt.Errorf("%s: %d bytes with SHA-256 %x, want %d with %x", f.Path, n, sum.Sum(nil), f.Size, f.SHA256)
	}
	return nil
}

func sumEquals(h hash.Hash, want [sha256.Size]byte) bool {
	return [sha256.Size]byte(h.Sum(nil)) == want
}

// Private returns the same torrent flagged as private (BEP 27), which gives it another info-hash.
func (t *Torrent) Private() (*Torrent, error) {
	var info metainfo.Info
	if err := bencode.Unmarshal(t.info, &info); err != nil {
		return nil, fmt.Errorf("decode torrent: %w", err)
	}
	yes := true
	info.Private = &yes
	encoded, err := bencode.Marshal(info)
	if err != nil {
		return nil, fmt.Errorf("encode torrent: %w", err)
	}
	private := *t
	private.info, private.InfoHash = encoded, units.InfoHash(metainfo.HashBytes(encoded))
	return &private, nil
}
