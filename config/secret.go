package config

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"paygate/units"
)

// maxSecret bounds a secret file. A macaroon has a few hundred bytes, a certificate chain a few thousand.
const maxSecret = 64 << 10

// path reads a file name; a relative one starts from the configuration's directory, ~/ from HOME.
func (p *parser) path(dst *string) func(string) error {
	return func(s string) error {
		full, err := p.resolve(s)
		if err == nil {
			*dst = full
		}
		return err
	}
}

func (p *parser) resolve(s string) (string, error) {
	if s == "" || strings.ContainsRune(s, 0) {
		return "", &fault{message: "is not a path", remedy: "write a file or directory name"}
	}
	if s == "~" || strings.HasPrefix(s, "~/") {
		home, _ := p.env("HOME")
		if home == "" {
			return "", &fault{message: fmt.Sprintf("%q needs HOME, which is not set", clip(s)), remedy: "write the whole path"}
		}
		return filepath.Join(home, s[1:]), nil
	}
	if filepath.IsAbs(s) {
		return filepath.Clean(s), nil
	}
	return filepath.Join(p.dir, s), nil
}

// indirect follows env:NAME. Anything else stands for itself.
func (p *parser) indirect(s string) (string, error) {
	name, ok := strings.CutPrefix(s, "env:")
	if !ok {
		return s, nil
	}
	v, ok := p.env(name)
	if !ok || v == "" {
		return "", &fault{message: "environment variable " + clip(name) + " is not set", remedy: "export it before paygate starts"}
	}
	return v, nil
}

// secretText reads a password: itself, env:NAME, or file:NAME, whose first line it is.
func secretText(p *parser, dst *units.Secret, most int) func(string) error {
	return func(s string) error {
		s, err := p.indirect(s)
		if err != nil {
			return err
		}
		var open error
		if file, ok := strings.CutPrefix(s, "file:"); ok {
			data, mode, err := p.file(file, "write file: and the name of a file that holds it on its first line")
			if err != nil {
				return err
			}
			s, _, _ = strings.Cut(string(data), "\n")
			s = strings.TrimSuffix(s, "\r")
			open = openToOthers("the file", mode)
		}
		if s == "" || len(s) > most {
			return &fault{message: fmt.Sprintf("must have 1 to %d characters", most), remedy: "shorten it"}
		}
		*dst = units.Secret(s)
		return open
	}
}

// certificate reads the certificate itself, see certificateText, or the file that holds it.
func (p *parser) certificate(dst *[]byte) func(string) error {
	return func(s string) error {
		s, err := p.indirect(s)
		if err != nil {
			return err
		}
		if *dst = certificateText(s); *dst != nil {
			return nil
		}
		var data []byte
		if !strings.Contains(s, pemBegin) {
			if data, _, err = p.file(s, "it takes a file name, the certificate itself or env:NAME; lnd writes it to ~/.lnd/tls.cert"); err != nil {
				return err
			}
		}
		if *dst = certificateText(string(data)); *dst == nil {
			return &fault{message: "holds no certificate", remedy: "point it to lnd's tls.cert (not tls.key)"}
		}
		return nil
	}
}

const pemBegin = "-----BEGIN"

// certificateText returns, as PEM, the certificate that text is: PEM, or PEM or DER in hexadecimal digits or base64.
// It returns nil if text is none of these.
func certificateText(text string) []byte {
	text = strings.TrimSpace(text)
	if strings.Contains(text, pemBegin) {
		if holdsCertificate([]byte(text)) {
			return []byte(text + "\n")
		}
		return nil
	}
	raw, err := hex.DecodeString(text)
	if err != nil {
		var ok bool
		if raw, ok = decodeBase64(text); !ok {
			return nil
		}
	}
	if holdsCertificate(raw) {
		return raw
	}
	if _, err := x509.ParseCertificate(raw); err != nil {
		return nil
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})
}

// decodeBase64 takes both alphabets, with and without padding, and line breaks.
func decodeBase64(text string) ([]byte, bool) {
	text = strings.NewReplacer("-", "+", "_", "/", "\n", "", "\r", "", " ", "+").Replace(strings.TrimSpace(text))
	raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
	return raw, err == nil && len(raw) > 0
}

func holdsCertificate(data []byte) bool {
	for {
		block, rest := pem.Decode(data)
		if block == nil {
			return false
		}
		if block.Type == "CERTIFICATE" {
			_, err := x509.ParseCertificate(block.Bytes)
			return err == nil
		}
		data = rest
	}
}

// macaroon reads hexadecimal digits or base64, or the file that holds the macaroon so or in binary.
func (p *parser) macaroon(dst *units.Secret) func(string) error {
	return func(s string) error {
		s, err := p.indirect(s)
		if err != nil {
			return err
		}
		if m, ok := macaroonText(s); ok {
			*dst = m
			return nil
		}
		data, mode, err := p.file(s, "it takes a file name, hexadecimal digits, base64 or env:NAME; lnd's lie under ~/.lnd/data/chain/bitcoin/")
		if err != nil {
			return err
		}
		if *dst, err = macaroonBytes(data); err != nil {
			return err
		}
		return openToOthers("the macaroon file", mode)
	}
}

func macaroonBytes(data []byte) (units.Secret, error) {
	if m, ok := macaroonText(strings.TrimSpace(string(data))); ok {
		return m, nil
	}
	if len(data) < minMacaroon {
		return "", &fault{message: "the file is too short for a macaroon", remedy: "point it to the .macaroon file that lnd made"}
	}
	return units.Secret(hex.EncodeToString(data)), nil
}

// minMacaroon is less than the shortest macaroon has: a 32-byte signature and an identifier.
const minMacaroon = 40

// macaroonFormat is the first byte of a macaroon of version 2. It tells base64 from a file name, whose letters may be
// base64 too.
const macaroonFormat = 2

// macaroonText returns, in hexadecimal digits, the macaroon that text is, if it is one in such digits or in base64.
func macaroonText(text string) (units.Secret, bool) {
	if _, err := hex.DecodeString(text); err == nil && len(text) >= 2*minMacaroon {
		return units.Secret(strings.ToLower(text)), true
	}
	raw, ok := decodeBase64(text)
	if !ok || len(raw) < minMacaroon || raw[0] != macaroonFormat {
		return "", false
	}
	return units.Secret(hex.EncodeToString(raw)), true
}

// openToOthers notes a secret that other users of the machine can read.
func openToOthers(what string, mode fs.FileMode) error {
	if mode&0o077 == 0 {
		return nil
	}
	return &fault{
		message: fmt.Sprintf("other users can open %s (mode %04o)", what, mode.Perm()),
		remedy:  "chmod 600", note: true,
	}
}

// file reads a small regular file. It never blocks on a pipe or a device.
func (p *parser) file(s, remedy string) ([]byte, fs.FileMode, error) {
	path, err := p.resolve(s)
	if err != nil {
		return nil, 0, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, 0, unreadable(path, err, remedy)
	}
	if !info.Mode().IsRegular() || info.Size() > maxSecret {
		return nil, 0, &fault{message: fmt.Sprintf("%s is not a file of at most %d bytes", shown(path), maxSecret), remedy: remedy}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, 0, unreadable(path, err, remedy)
	}
	return data, info.Mode(), nil
}

func unreadable(path string, err error, remedy string) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return &fault{message: fmt.Sprintf("cannot read %s: %v", shown(path), err), remedy: remedy}
}

// shown prints a path, unless it may be a mistyped secret: those have no file extension.
func shown(path string) string {
	if filepath.Ext(path) == "" {
		return "the file"
	}
	return oneLine(path)
}
