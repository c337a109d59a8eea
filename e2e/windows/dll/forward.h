/* What the stand-in libraries share: a call is a request to the stand-in service,
 * over TCP to the address in PADDOCK_STANDIN, and an answer.
 *
 * Request:  u32 length; fields, each ended by a NUL: session, function, arguments (UTF-8).
 * Answer:   u32 result (HRESULT); u32 length; text (UTF-8).
 *
 * The session is a connection that this process holds open as long as it lives, so
 * that the service sees its end. */
#ifndef FORWARD_H
#define FORWARD_H

#define WIN32_LEAN_AND_MEAN
#include <winsock2.h>
#include <windows.h>
#include <objbase.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RPC_UNAVAILABLE ((HRESULT)0x800706BA)
#define MOST_TEXT (16u << 20)

static char *narrow(PCWSTR w)
{
	int n;
	char *s;
	if (!w)
		return _strdup("");
	n = WideCharToMultiByte(CP_UTF8, 0, w, -1, NULL, 0, NULL, NULL);
	s = malloc(n);
	WideCharToMultiByte(CP_UTF8, 0, w, -1, s, n, NULL, NULL);
	return s;
}

/* widen returns memory that the caller of the API frees. */
static PWSTR widen(const char *s)
{
	int n = MultiByteToWideChar(CP_UTF8, 0, s, -1, NULL, 0);
	PWSTR w = CoTaskMemAlloc(n * sizeof(WCHAR));
	MultiByteToWideChar(CP_UTF8, 0, s, -1, w, n);
	return w;
}

static SOCKET reach(void)
{
	char where[64], *colon;
	struct sockaddr_in a = {0};
	SOCKET s;
	WSADATA data;
	BOOL one = TRUE;
	DWORD n = GetEnvironmentVariableA("PADDOCK_STANDIN", where, sizeof where);
	WSAStartup(MAKEWORD(2, 2), &data);
	if (!n || n >= sizeof where || !(colon = strrchr(where, ':')))
		return INVALID_SOCKET;
	*colon = 0;
	a.sin_family = AF_INET;
	a.sin_addr.s_addr = inet_addr(where);
	a.sin_port = htons((u_short)atoi(colon + 1));
	s = socket(AF_INET, SOCK_STREAM, 0);
	if (s == INVALID_SOCKET)
		return s;
	if (connect(s, (struct sockaddr *)&a, sizeof a)) {
		closesocket(s);
		return INVALID_SOCKET;
	}
	setsockopt(s, IPPROTO_TCP, TCP_NODELAY, (char *)&one, sizeof one);
	return s;
}

static int put(SOCKET s, const char *p, size_t n)
{
	while (n) {
		int k = send(s, p, (int)n, 0);
		if (k <= 0)
			return 0;
		p += k;
		n -= k;
	}
	return 1;
}

static int get(SOCKET s, char *p, size_t n)
{
	while (n) {
		int k = recv(s, p, (int)n, 0);
		if (k <= 0)
			return 0;
		p += k;
		n -= k;
	}
	return 1;
}

static int ask(SOCKET s, const char *session, const char *function, const char **args, int count)
{
	size_t n = strlen(session) + 1 + strlen(function) + 1, at;
	DWORD length;
	char *b;
	int i, ok;
	for (i = 0; i < count; i++)
		n += strlen(args[i]) + 1;
	b = malloc(4 + n);
	length = (DWORD)n;
	memcpy(b, &length, 4);
	at = 4;
	strcpy(b + at, session);
	at += strlen(session) + 1;
	strcpy(b + at, function);
	at += strlen(function) + 1;
	for (i = 0; i < count; i++) {
		strcpy(b + at, args[i]);
		at += strlen(args[i]) + 1;
	}
	ok = put(s, b, at);
	free(b);
	return ok;
}

/* answer reads one answer; *text is to be freed. */
static HRESULT answer(SOCKET s, char **text)
{
	DWORD head[2];
	*text = NULL;
	if (!get(s, (char *)head, sizeof head) || head[1] > MOST_TEXT)
		return RPC_UNAVAILABLE;
	*text = malloc(head[1] + 1);
	if (!get(s, *text, head[1])) {
		free(*text);
		*text = NULL;
		return RPC_UNAVAILABLE;
	}
	(*text)[head[1]] = 0;
	return (HRESULT)head[0];
}

static INIT_ONCE session_once = INIT_ONCE_STATIC_INIT;
static char session_name[64];

static BOOL CALLBACK begin_session(PINIT_ONCE once, PVOID parameter, PVOID *context)
{
	SOCKET s = reach();
	char *text;
	(void)once, (void)parameter, (void)context;
	if (s == INVALID_SOCKET)
		return FALSE;
	if (!ask(s, "", "Session", NULL, 0) || answer(s, &text) != S_OK) {
		closesocket(s);
		return FALSE;
	}
	strncpy(session_name, text, sizeof session_name - 1);
	free(text);
	return TRUE; /* the socket stays open */
}

/* call makes a call of this process's session. */
static HRESULT call(const char *function, const char **args, int count, char **text)
{
	SOCKET s;
	HRESULT hr = RPC_UNAVAILABLE;
	*text = NULL;
	if (!InitOnceExecuteOnce(&session_once, begin_session, NULL, NULL))
		return hr;
	s = reach();
	if (s == INVALID_SOCKET)
		return hr;
	if (ask(s, session_name, function, args, count))
		hr = answer(s, text);
	closesocket(s);
	return hr;
}

#endif
