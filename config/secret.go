package config

import (
	"crypto/x509"
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

func secretText(p *parser, dst *units.Secret, most int) func(string) error {
	return func(s string) error {
		s, err := p.indirect(s)
		if err != nil {
			return err
		}
		if s == "" || len(s) > most {
			return &fault{message: fmt.Sprintf("must have 1 to %d characters", most), remedy: "shorten it"}
		}
		*dst = units.Secret(s)
		return nil
	}
}

// certificate reads PEM text, or the file that holds it.
func (p *parser) certificate(dst *[]byte) func(string) error {
	return func(s string) error {
		s, err := p.indirect(s)
		if err != nil {
			return err
		}
		data := []byte(s)
		if !strings.Contains(s, "-----BEGIN") {
			if data, _, err = p.file(s, "lnd writes it to ~/.lnd/tls.cert"); err != nil {
				return err
			}
		}
		if !holdsCertificate(data) {
			return &fault{message: "holds no PEM certificate", remedy: "point it to lnd's tls.cert (not tls.key)"}
		}
		*dst = data
		return nil
	}
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

// macaroon reads hexadecimal digits, or the file that holds the macaroon in binary or in hexadecimal digits.
func (p *parser) macaroon(dst *units.Secret) func(string) error {
	return func(s string) error {
		s, err := p.indirect(s)
		if err != nil {
			return err
		}
		if isMacaroonHex(s) {
			*dst = units.Secret(strings.ToLower(s))
			return nil
		}
		data, mode, err := p.file(s, "it takes a file name, hexadecimal digits or env:NAME; lnd's lie under ~/.lnd/data/chain/bitcoin/")
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
	if s := strings.TrimSpace(string(data)); isMacaroonHex(s) {
		return units.Secret(strings.ToLower(s)), nil
	}
	if len(data) < minMacaroon {
		return "", &fault{message: "the file is too short for a macaroon", remedy: "point it to the .macaroon file that lnd made"}
	}
	return units.Secret(hex.EncodeToString(data)), nil
}

// minMacaroon is less than the shortest macaroon has: a 32-byte signature and an identifier.
const minMacaroon = 40

func isMacaroonHex(s string) bool {
	_, err := hex.DecodeString(s)
	return err == nil && len(s) >= 2*minMacaroon
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
