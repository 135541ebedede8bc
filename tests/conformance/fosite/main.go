// An OAuth server that knows nothing of Coze: fosite, with a consent page, a web app, and an app that signs assertions.
// Coze's dialect is the translator's. Prints one line of JSON when it is ready, ends when its standard input does.
package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/go-jose/go-jose/v3"
	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"
	"github.com/ory/fosite/storage"
	"golang.org/x/crypto/bcrypt"
)

const (
	secret      = "a-secret:with&signs%+"
	redirectURI = "http://127.0.0.1:1/callback"
	person      = "judith"
)

// fosite's store leaves it to others to bear with an answer that was lost. One app may send each refresh token twice.
type store struct {
	*storage.MemoryStore
	used map[string]bool
}

func (s *store) RotateRefreshToken(ctx context.Context, requestID, signature string) error {
	old, err := s.GetRefreshTokenSession(ctx, signature, nil)
	if err != nil || old.GetClient().GetID() != "graceful-app" {
		return s.MemoryStore.RotateRefreshToken(ctx, requestID, signature)
	}
	if s.used[signature] {
		return s.DeleteRefreshTokenSession(ctx, signature)
	}
	s.used[signature] = true
	return nil
}

func newStore(key *rsa.PublicKey) *store {
	s := &store{storage.NewMemoryStore(), map[string]bool{}}
	hash, err := bcrypt.GenerateFromPassword([]byte(secret), bcrypt.MinCost)
	check(err)
	for _, id := range []string{"web-app", "graceful-app"} {
		s.Clients[id] = &fosite.DefaultClient{
			ID: id, Secret: hash, RedirectURIs: []string{redirectURI}, ResponseTypes: []string{"code"},
			GrantTypes: []string{"authorization_code", "refresh_token"}, Scopes: []string{"offline"},
		}
	}
	jwk := &jose.JSONWebKey{Key: key, KeyID: "key-1", Algorithm: "RS256", Use: "sig"}
	s.IssuerPublicKeys["jwt-app"] = storage.IssuerPublicKeys{
		Issuer: "jwt-app",
		KeysBySub: map[string]storage.SubjectPublicKeys{
			"": {Keys: map[string]storage.PublicKeyScopes{"key-1": {Key: jwk}}},
		},
	}
	return s
}

// audience is what an assertion must be meant for: the host and port of the translator.
func newProvider(s *store, audience string) fosite.OAuth2Provider {
	config := &fosite.Config{
		GlobalSecret:                        random(32),
		TokenURL:                            audience,
		AccessTokenLifespan:                 15 * time.Minute,
		GrantTypeJWTBearerCanSkipClientAuth: true, // the assertion is all that a Coze app shows
		GrantTypeJWTBearerMaxDuration:       time.Hour,
	}
	return compose.Compose(config, s, compose.NewOAuth2HMACStrategy(config),
		compose.OAuth2AuthorizeExplicitFactory, compose.OAuth2RefreshTokenGrantFactory,
		compose.RFC7523AssertionGrantFactory, compose.OAuth2TokenIntrospectionFactory)
}

type server struct{ fosite.OAuth2Provider }

func (s server) authorize(w http.ResponseWriter, r *http.Request) {
	request, err := s.NewAuthorizeRequest(r.Context(), r)
	if err != nil {
		s.WriteAuthorizeError(r.Context(), w, request, err)
		return
	}
	switch r.PostFormValue("answer") {
	case "":
		_, _ = io.WriteString(w, `<!DOCTYPE html><title>Consent</title><form method="post">
			<button name="answer" value="approve">Yes</button><button name="answer" value="deny">No</button></form>`)
		return
	case "approve":
	default:
		s.WriteAuthorizeError(r.Context(), w, request, fosite.ErrAccessDenied)
		return
	}
	for _, scope := range request.GetRequestedScopes() {
		request.GrantScope(scope)
	}
	response, err := s.NewAuthorizeResponse(r.Context(), request, &fosite.DefaultSession{Subject: person})
	if err != nil {
		s.WriteAuthorizeError(r.Context(), w, request, err)
		return
	}
	s.WriteAuthorizeResponse(r.Context(), w, request, response)
}

func (s server) token(w http.ResponseWriter, r *http.Request) {
	request, err := s.NewAccessRequest(r.Context(), r, &fosite.DefaultSession{})
	if err != nil {
		s.WriteAccessError(r.Context(), w, request, err)
		return
	}
	response, err := s.NewAccessResponse(r.Context(), request)
	if err != nil {
		s.WriteAccessError(r.Context(), w, request, err)
		return
	}
	s.WriteAccessResponse(r.Context(), w, request, response)
}

func (s server) userinfo(w http.ResponseWriter, r *http.Request) {
	token := fosite.AccessTokenFromRequest(r)
	_, request, err := s.IntrospectToken(r.Context(), token, fosite.AccessToken, &fosite.DefaultSession{})
	if err != nil {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	check(json.NewEncoder(w).Encode(map[string]string{"sub": request.GetSession().GetSubject()}))
}

func main() {
	translator, err := url.Parse(os.Args[1])
	check(err)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	check(err)
	strangers, err := rsa.GenerateKey(rand.Reader, 2048)
	check(err)
	s := server{newProvider(newStore(&key.PublicKey), translator.Host)}
	http.HandleFunc("/authorize", s.authorize)
	http.HandleFunc("/token", s.token)
	http.HandleFunc("/userinfo", s.userinfo)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	base := "http://" + listener.Addr().String()
	check(json.NewEncoder(os.Stdout).Encode(map[string]string{
		"authorize": base + "/authorize", "token": base + "/token", "userinfo": base + "/userinfo", "scope": "offline",
		"client_secret": secret, "redirect_uri": redirectURI, "person": person,
		"key_id": "key-1", "private_key": text(key), "strangers_key": text(strangers),
	}))
	go func() { check(http.Serve(listener, nil)) }()
	_, _ = io.Copy(io.Discard, os.Stdin)
}

func random(size int) []byte {
	bytes := make([]byte, size)
	_, err := rand.Read(bytes)
	check(err)
	return bytes
}

func text(key *rsa.PrivateKey) string {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	check(err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
